import { PikoError } from '../../errors.ts'
import { type Run, TERMINAL_STATES } from '../../run/run.ts'
import type { RunStore } from '../../store/runs/run-store.ts'
import { chunksOf } from '../../store/statements/chunks.ts'
import type { Settings } from '../../settings/settings.ts'
import type { SettledRun } from '../../engine/execution/ending.ts'
import { LoopService, type LoopServiceParts } from '../../engine/loop/loop-service.ts'
import type { StopReason } from '../../service/lifecycle-parts.ts'

interface Waiter {
  readonly resolve: (run: Run) => void
  readonly reject: (error: Error) => void
}

const LARGEST_READ = 500

export interface RunWaiterParts extends LoopServiceParts {
  readonly runs: RunStore
  readonly pollIntervalMs: Settings['piko']['pollIntervalMs']
}

/**
 * Waits for runs to end on any node. Runs of this node report their end immediately; one shared poll finds the end of other runs. A poll
 * sends one query per 500 runs, however many callers wait.
 */
export class RunWaiter extends LoopService {
  readonly #parts: RunWaiterParts
  readonly #waiters = new Map<number, Waiter[]>()
  readonly #settledHere = new Set<number>()
  #nextPollAt = 0
  #isStopped = false

  constructor(parts: RunWaiterParts) {
    super('waiter', parts)
    this.#parts = parts
  }

  /** Called when a run of this node has ended, so that its waiters need no poll. */
  settled({ runId, state }: Pick<SettledRun, 'runId' | 'state'>): void {
    if (!TERMINAL_STATES.has(state) || !this.#waiters.has(runId)) return
    this.#settledHere.add(runId)
    this.wake()
  }

  /** Resolves with the run when it has ended, whether it succeeded or not. Rejects with `ROW_BROKEN` if its row can't be read. */
  wait(runId: number, signal?: AbortSignal): Promise<Run> {
    return new Promise<Run>((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason as Error)
        return
      }
      if (this.#isStopped) {
        reject(stopped(runId))
        return
      }
      const leave = (): void => {
        this.#remove(runId, waiter)
        waiter.reject(signal?.reason as Error)
      }
      // Removes the listener, because a signal may exist much longer than one run.
      const settled = (settle: () => void): void => {
        signal?.removeEventListener('abort', leave)
        settle()
      }
      const waiter: Waiter = {
        resolve: (run) => settled(() => resolve(run)),
        reject: (error) => settled(() => reject(error)),
      }
      this.#waiters.set(runId, [...(this.#waiters.get(runId) ?? []), waiter])
      signal?.addEventListener('abort', leave, { once: true })
      // The run may have ended before this call; the first poll finds that out.
      this.#nextPollAt = Math.min(this.#nextPollAt, this.#parts.clock.now() + Math.min(50, this.#parts.pollIntervalMs))
      this.wake()
    })
  }

  protected override async onStart(): Promise<void> {
    this.#isStopped = false
    await super.onStart()
  }

  protected override async onStop(why: StopReason): Promise<void> {
    if (why === 'crash') return super.onStop() as Promise<void>
    this.#isStopped = true
    await super.onStop()
    for (const [runId, waiters] of this.#waiters) {
      for (const waiter of waiters) waiter.reject(stopped(runId))
    }
    this.#waiters.clear()
  }

  protected override async step(): Promise<number> {
    if (this.#waiters.size === 0) return Infinity
    const now = this.#parts.clock.now()
    const isPoll = now >= this.#nextPollAt
    if (isPoll) this.#nextPollAt = now + this.#parts.pollIntervalMs
    const ids = [...(isPoll ? this.#waiters.keys() : this.#settledHere)]
    this.#settledHere.clear()
    for (const some of chunksOf(ids, LARGEST_READ)) {
      const { runs, broken } = await this.#parts.runs.findEach(some)
      for (const row of broken) {
        for (const waiter of this.#waiters.get(row.id ?? NaN) ?? []) waiter.reject(row)
        this.#waiters.delete(row.id ?? NaN)
      }
      for (const run of runs) {
        if (!TERMINAL_STATES.has(run.state)) continue
        for (const waiter of this.#waiters.get(run.id) ?? []) waiter.resolve(run)
        this.#waiters.delete(run.id)
      }
    }
    return this.#waiters.size === 0 ? Infinity : Math.max(1, this.#nextPollAt - this.#parts.clock.now())
  }

  #remove(runId: number, waiter: Waiter): void {
    const others = (this.#waiters.get(runId) ?? []).filter((other) => other !== waiter)
    if (others.length > 0) this.#waiters.set(runId, others)
    else this.#waiters.delete(runId)
  }
}

function stopped(runId: number): PikoError {
  return new PikoError('STOPPED', `Piko stopped before run ${runId} had ended; the run stays in the queue`)
}
