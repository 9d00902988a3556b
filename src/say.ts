import { safely } from './errors-read.ts'

let isGuarded = false

/**
 * Writes a line for people to standard error. If the disk is full, or the pipe or terminal is closed, the line is lost. The process
 * continues, because its work is more important.
 */
export function say(text: string): void {
  outliveStandardError()
  safely(() => process.stderr.write(`${text}\n`), undefined)
}

/** Makes sure that a failed write to standard error never ends the process. */
export function outliveStandardError(): void {
  if (isGuarded) return
  isGuarded = true
  // A failed write emits `error`. Without a listener, this event ends the process.
  safely(() => process.stderr.on('error', () => {}), undefined)
}
