import { systemClock } from '../../clock.ts'
import { PikoError } from '../../errors.ts'
import { durationMs } from '../../time/duration.ts'
import { stopSignals } from './stop-signals.ts'

/** Commands that can be repeated with `--watch`, because they only show something. */
const WATCHABLE: ReadonlySet<string> = new Set([
  ...['list', 'show', 'summary', 'coverage', 'history', 'status', 'stats', 'settings', 'preview', 'why'],
  ...['lanes', 'items', 'dead'],
])
const DEFAULT_MS = 2_000
const MIN_MS = 200
const CLEAR = '\u001B[2J\u001B[H'

export interface Watch {
  /** The command line without `--watch`. */
  readonly args: readonly string[]
  readonly everyMs: number
}

/**
 * Returns the interval of `--watch` or `--watch=5s`; undefined without this option.
 *
 * @throws PikoError `USAGE`, `DURATION_INVALID`
 */
export function watchOf(given: readonly string[]): Watch | undefined {
  const index = given.findIndex((arg) => arg === '--watch' || arg.startsWith('--watch='))
  const arg = given[index]
  // `crawls status` has its own option `--watch`.
  if (arg === undefined || (given.includes('status') && given[0]?.startsWith('crawl'))) return undefined
  const args = given.filter((_, at) => at !== index)
  if (!args.some((word) => WATCHABLE.has(word)))
    throw new PikoError('USAGE', `--watch repeats a command that only shows something, such as piko runs list --watch`)
  const every = arg.slice('--watch='.length)
  return { args, everyMs: every === '' ? DEFAULT_MS : Math.max(MIN_MS, durationMs(every, '--watch')) }
}

/**
 * Repeats a command until a signal, or until it fails. On a terminal, each result replaces the previous one.
 * @returns the last exit code
 */
export async function watched(
  { args, everyMs }: Watch,
  execute: (args: readonly string[]) => Promise<number>,
): Promise<number> {
  const signals = stopSignals()
  const stop = new AbortController()
  void signals.first.then(() => stop.abort())
  try {
    for (;;) {
      if (process.stdout.isTTY) process.stdout.write(CLEAR)
      const code = await execute(args)
      if (code !== 0 || stop.signal.aborted) return code
      await systemClock.sleep(everyMs, stop.signal)
      if (stop.signal.aborted) return 0
    }
  } finally {
    signals.release()
  }
}
