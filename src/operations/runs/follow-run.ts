import { setTimeout as sleep } from 'node:timers/promises'
import type { Progress } from '../../run/progress.ts'
import { type Run, type RunState, TERMINAL_STATES } from '../../run/run.ts'
import type { RunLogLevel, RunLogLine } from '../../run/run-log.ts'

export interface FollowOptions {
  /** Selects only lines of this level or a higher one. */
  readonly level?: RunLogLevel
  /** Selects only lines with larger ids, which are newer. */
  readonly after?: number
  /** Aborting this signal ends the call. */
  readonly signal?: AbortSignal
}

/** A run, with its last reported progress. */
export interface FollowedState extends Run {
  readonly progress: Progress | undefined
}

/** An event of a run that a caller follows. */
export type RunNews =
  | { readonly kind: 'state'; readonly state: RunState; readonly run: FollowedState }
  | { readonly kind: 'line'; readonly line: RunLogLine }
  | { readonly kind: 'progress'; readonly progress: Progress }

/** How a follower reads the run. */
export interface FollowedRun {
  readonly find: (runId: number) => Promise<FollowedState>
  readonly lines: (
    runId: number,
    filter: { after: number; limit: number; level?: RunLogLevel },
  ) => Promise<RunLogLine[]>
  /**
   * Calls `onNews` when something new is stored. A call may get lost, so the follower also polls. Returns a function that stops watching.
   */
  readonly watch?: (runId: number, nodeId: string, onNews: (isSettled: boolean) => void) => () => void
}

const POLL_MS = 500
/** A node stores lines every second, so the last lines may be stored after the run has ended. */
const LAST_LINES_MS = 1_500
const PAGE = 500

/** Yields the lines, the progress and the states of a run until it has ended. */
export async function* followRun(
  followed: FollowedRun,
  runId: number,
  { level, after = 0, signal }: FollowOptions,
): AsyncGenerator<RunNews, void, undefined> {
  const pause = new Pause(signal)
  let last = after
  let state: RunState | undefined
  let shown: Progress | undefined
  let watched: { readonly nodeId: string; readonly end: () => void } | undefined
  try {
    while (!signal?.aborted) {
      const run = await followed.find(runId)
      if (run.nodeId !== undefined && run.nodeId !== watched?.nodeId && followed.watch) {
        watched?.end()
        const { nodeId } = run
        watched = { nodeId, end: followed.watch(runId, nodeId, (isSettled) => pause.end(isSettled)) }
      }
      const isOver = TERMINAL_STATES.has(run.state)
      if (isOver && !pause.isSettled) await pause.wait(LAST_LINES_MS, () => pause.isSettled)
      for (;;) {
        const lines = await followed.lines(runId, { after: last, limit: PAGE, ...(level && { level }) })
        for (const line of lines) yield { kind: 'line', line }
        last = lines.at(-1)?.id ?? last
        if (lines.length < PAGE) break
      }
      const { progress } = run
      if (progress && progress.updatedAt.getTime() !== shown?.updatedAt.getTime()) yield { kind: 'progress', progress }
      shown = progress
      if (run.state !== state) yield { kind: 'state', state: run.state, run }
      state = run.state
      if (isOver) return
      await pause.wait(POLL_MS, () => true)
    }
  } finally {
    watched?.end()
  }
}

/** Waits for news or for the next poll, whichever is first. */
class Pause {
  readonly #signal: AbortSignal | undefined
  #isNew = false
  #wake = new AbortController()
  isSettled = false

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal
  }

  end(isSettled: boolean): void {
    this.#isNew = true
    this.isSettled ||= isSettled
    this.#wake.abort()
  }

  async wait(ms: number, isEnough: () => boolean): Promise<void> {
    const until = performance.now() + ms
    for (let leftMs = ms; leftMs > 0 && !this.#signal?.aborted; leftMs = until - performance.now()) {
      if (this.#isNew && isEnough()) break
      this.#wake = new AbortController()
      const signal = this.#signal ? AbortSignal.any([this.#wake.signal, this.#signal]) : this.#wake.signal
      await sleep(leftMs, undefined, { signal }).catch(() => {})
    }
    this.#isNew = false
  }
}
