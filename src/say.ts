import { safely } from './errors-read.ts'

let isGuarded = false

/**
 * Writes a line for people to standard error. If the disk is full or the pipe or terminal is closed, the line is lost, but the process
 * continues, because its work is more important.
 */
export function say(text: string): void {
  outliveStandardError()
  safely(() => process.stderr.write(`${text}\n`), undefined)
}

/** Ensures that no failed write to standard error ends the process, whichever code writes. */
export function outliveStandardError(): void {
  if (isGuarded) return
  isGuarded = true
  // A failed write emits `error`, which ends the process without a listener.
  safely(() => process.stderr.on('error', () => {}), undefined)
}
