import { safely } from './errors-read.ts'

let isGuarded = false

/**
 * Writes a line for people on standard error. A full disk, a closed pipe or a lost terminal takes the line, never the process: what
 * follows is more than its words.
 */
export function say(text: string): void {
  outliveStandardError()
  safely(() => process.stderr.write(`${text}\n`), undefined)
}

/** From here on no write to standard error ends the process, whoever writes. */
export function outliveStandardError(): void {
  if (isGuarded) return
  isGuarded = true
  // A write that fails is an event, and an event `error` that nobody listens to ends the process.
  safely(() => process.stderr.on('error', () => {}), undefined)
}
