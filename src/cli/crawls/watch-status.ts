import { setTimeout as sleep } from 'node:timers/promises'
import { clearScreenDown, cursorTo, moveCursor } from 'node:readline'
import type { WriteStream } from 'node:tty'
import type { Piko } from '../../app/piko.ts'
import { PikoError } from '../../errors.ts'
import type { CrawlRef } from '../../operations/crawls/crawl-options.ts'
import type { CrawlStatus } from '../../operations/crawls/crawl-status.ts'
import { TERMINAL_STATES } from '../../run/run.ts'
import { printResult } from '../output/print-result.ts'
import { InterruptedError, stopSignals } from '../process/stop-signals.ts'
import { statusLine, statusText } from './crawls-text.ts'

const EVERY_MS = 1_000
/** The speed is calculated from at most this many of the last readings of the status. */
const MAX_SAMPLES = 10

interface Sample {
  readonly at: number
  readonly ended: number
}

/**
 * Shows the status of a run each second until it has ended. A terminal is redrawn. Any other output gets a line for each change; JSON
 * output gets one line each second. A signal ends only the display: the run continues.
 *
 * @throws PikoError `RUN_FAILED` if the run does not succeed; InterruptedError after a signal
 */
export async function watchStatus(app: Piko, crawl: CrawlRef, json: boolean): Promise<void> {
  const signals = stopSignals()
  const stop = new AbortController()
  const view = json ? jsonView : process.stdout.isTTY ? terminalView(process.stdout) : lineView()
  try {
    // Shows the same run until it ends, even if the crawl starts a newer one.
    const { runId } = await app.crawls.status(crawl)
    void signals.first.then((signal) => {
      const message = `${signal}: run ${runId} continues; see piko crawls status ${runId}`
      stop.abort(new InterruptedError(signal, message, { runId }))
    })
    const speed = new Speed()
    for (;;) {
      const status = await app.crawls.status(runId)
      view(speed.applied(status))
      if (TERMINAL_STATES.has(status.state)) return assertSucceeded(status)
      await sleep(EVERY_MS, undefined, { signal: stop.signal }).catch(() => {})
      stop.signal.throwIfAborted()
    }
  } finally {
    signals.release()
  }
}

/** Calculates the speed over the last few seconds. The status has only the speed since the start of the run. */
class Speed {
  readonly #samples: Sample[] = []

  applied(status: CrawlStatus): CrawlStatus {
    const left = status.queued + status.running
    const sample: Sample = { at: performance.now(), ended: status.total - left }
    const [first] = this.#samples
    this.#samples.push(sample)
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift()
    if (!first || TERMINAL_STATES.has(status.state)) return status
    const perSecond = Math.max(0, ((sample.ended - first.ended) / (sample.at - first.at)) * 1_000)
    return {
      ...status,
      perSecond,
      etaMs: perSecond > 0 && left > 0 ? Math.round((left / perSecond) * 1_000) : undefined,
    }
  }
}

type View = (status: CrawlStatus) => void

const jsonView: View = (status) => printResult(true, status, () => '')

function lineView(): View {
  let shown = ''
  return (status) => {
    const { done, dead, total, state } = status
    const key = JSON.stringify([state, done, dead, total])
    if (key === shown) return
    shown = key
    printResult(false, status, () =>
      TERMINAL_STATES.has(state) ? `${statusLine(status)}\n\n${statusText(status)}` : statusLine(status),
    )
  }
}

/** Draws each status over the previous one, cut to the size of the screen. The last one keeps all its lines. */
function terminalView(terminal: WriteStream): View {
  let drawn = 0
  return (status) => {
    const isLast = TERMINAL_STATES.has(status.state)
    const lines = statusText(status)
      .split('\n')
      .map((line) => line.slice(0, Math.max(1, terminal.columns - 1)))
    const shown = isLast ? lines : lines.slice(0, Math.max(1, terminal.rows - 1))
    if (drawn > 0) {
      moveCursor(terminal, 0, -drawn)
      cursorTo(terminal, 0)
    }
    clearScreenDown(terminal)
    terminal.write(`${shown.join('\n')}\n`)
    drawn = shown.length
  }
}

function assertSucceeded({ runId, jobId, state, dead }: CrawlStatus): void {
  if (state === 'succeeded') return
  throw new PikoError(
    'RUN_FAILED',
    `run ${runId} of crawl "${jobId}" ${state}${dead > 0 ? ` with ${dead} dead pages; piko crawls replay ${runId} queues them again` : ''}`,
    { details: { runId, jobId, state, dead } },
  )
}
