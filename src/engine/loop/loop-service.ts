import type { StopReason } from '../../service/lifecycle-parts.ts'
import { Service } from '../../service/service.ts'
import type { Clock } from '../../clock.ts'
import { Loop } from './loop.ts'
import type { LoopHealth } from './loop-health.ts'

/** What every looping service needs. */
export interface LoopServiceParts {
  readonly clock: Clock
  readonly loops: LoopHealth
}

/** A service that repeats a step, for example the leader, the planner or the dispatcher. */
export abstract class LoopService extends Service {
  readonly #loop: Loop

  constructor(name: string, { clock, loops }: LoopServiceParts) {
    super({ name })
    this.#loop = new Loop({ name, step: () => this.step(), clock, loops })
  }

  /** Does one step. Returns the number of milliseconds until the next step; `Infinity` waits for `wake`. */
  protected abstract step(): Promise<number>

  /** The number of steps that failed in a row; 0 if the last one succeeded. */
  get failures(): number {
    return this.#loop.failures
  }

  /** Starts the next step immediately. */
  wake(): void {
    this.#loop.wake()
  }

  protected override onStart(): unknown {
    this.#loop.start()
    return undefined
  }

  protected override onStop(_why?: StopReason): unknown {
    return this.#loop.stop()
  }
}
