import { setTimeout as sleep } from 'node:timers/promises'
import { monotonicMs } from './monotonic.ts'
import { percentile } from './percentile.ts'
import { type About, payload, type System } from './system.ts'

/** The time from the beginning of the first handler until all jobs in the store have ended. */
export interface Processed {
  readonly handled: number
  /** On the clock of {@link monotonicMs}. */
  readonly firstAt: number
  readonly drainedAt: number
  /** The time from the command to start until the first handler begins. */
  readonly startMs: number
  /** The CPU time since the first handler began. */
  readonly cpuMs: number
  readonly rssMb: number
}

export interface Spread {
  readonly p50: number
  readonly p99: number
}

export interface Latency {
  /** The time until the handler begins. */
  readonly begun: Spread
  /** The time until the outcome is stored. */
  readonly ended: Spread | undefined
  /** The time until the call is answered. */
  readonly acknowledged: Spread
}

const QUIET_MS = 5
const WARM_UPS = 20

/** The phases that can be measured for every system, each in the system's own process. */
export class Phases {
  readonly #system: System
  readonly #tell: (event: 'begun' | 'ended', id: number) => void
  #workCpu: NodeJS.CpuUsage | undefined

  constructor(system: System, tell: (event: 'begun' | 'ended', id: number) => void) {
    this.#system = system
    this.#tell = tell
  }

  async reset(): Promise<About> {
    await this.#system.reset()
    return this.#system.about()
  }

  async fill(ended: number): Promise<void> {
    await this.#system.fill?.(ended)
  }

  /** Enqueues by bulk calls of `batch` jobs, one after the other. Returns milliseconds. */
  async enqueue(count: number, batch: number): Promise<{ ms: number; cpuMs: number }> {
    await this.#system.open(1)
    const cpu = process.cpuUsage()
    const began = monotonicMs()
    for (let from = 0; from < count; from += batch) {
      await this.#system.enqueue(
        Array.from({ length: Math.min(batch, count - from) }, (_, index) => payload(from + index)),
      )
    }
    return { ms: monotonicMs() - began, cpuMs: cpuMs(cpu) }
  }

  /** Enqueues by single calls from parallel callers, each of which waits for its answer. */
  async enqueueOne(count: number, callers: number): Promise<{ ms: number; cpuMs: number } & Spread> {
    await this.#system.open(callers)
    let next = 0
    const call = async (until: number, took?: number[]): Promise<void> => {
      while (next < until) {
        const asked = monotonicMs()
        await this.#system.enqueueOne(payload(next++))
        took?.push(monotonicMs() - asked)
      }
    }
    const all = (until: number, took?: number[]): Promise<unknown> =>
      Promise.all(Array.from({ length: callers }, () => call(until, took)))
    await all(2 * callers)
    const took: number[] = []
    const cpu = process.cpuUsage()
    const began = monotonicMs()
    await all(2 * callers + count, took)
    return { ms: monotonicMs() - began, cpuMs: cpuMs(cpu), ...spread(took) }
  }

  /**
   * Works until no job is left: all `count` jobs, or this process's share of them.
   *
   * @param workUs microseconds that each handler keeps a processor busy
   */
  async process(count: number, isShared: boolean, workUs = 0): Promise<Processed> {
    const asked = monotonicMs()
    let cpu: NodeJS.CpuUsage | undefined
    let handled = 0
    let firstAt = 0
    let lastAt = 0
    let ended = 0
    let endedAt = 0
    await this.#system.work({
      asksWho: false,
      begun: () => {
        lastAt = monotonicMs()
        firstAt ||= lastAt
        cpu ??= process.cpuUsage()
        handled += 1
        while (monotonicMs() - lastAt < workUs / 1_000);
      },
      ended: () => {
        endedAt = monotonicMs()
        ended += 1
      },
    })
    for (;;) {
      const isQuiet = isShared ? monotonicMs() - Math.max(lastAt, endedAt, asked) > QUIET_MS : handled >= count
      if (isQuiet && (ended === 0 || ended >= handled) && !(await this.#system.isPending())) break
      await sleep(2)
    }
    const drainedAt = endedAt || monotonicMs()
    const used = cpuMs(cpu)
    const succeeded = await this.#system.succeeded()
    if (!isShared && handled !== count) throw new Error(`${handled} handlers began for ${count} jobs`)
    if (succeeded !== undefined && succeeded !== count) throw new Error(`${succeeded} of ${count} jobs succeeded`)
    const startMs = firstAt - asked
    return { handled, firstAt, drainedAt, startMs, cpuMs: used, rssMb: rssMb() }
  }

  /** Sends one job at a time to an idle worker of this process. */
  async latency(samples: number, gapMs: number): Promise<Latency> {
    const begun = new Calls()
    const ended = new Calls()
    await this.#system.open(1)
    await this.#system.work({
      asksWho: true,
      begun: (id) => begun.happened(id),
      ended: (id) => ended.happened(id),
    })
    await sleep(500)
    const found: { begun: number; ended: number; acknowledged: number }[] = []
    for (let id = 1; id <= WARM_UPS + samples; id++) {
      const [beginning, ending] = [begun.of(id), ended.of(id)]
      const asked = monotonicMs()
      await this.#system.enqueueOne(payload(id))
      const acknowledged = monotonicMs() - asked
      const begunAt = await beginning
      const endedAt = this.#system.tellsEnds ? await ending : NaN
      if (id > WARM_UPS) found.push({ begun: begunAt - asked, ended: endedAt - asked, acknowledged })
      await sleep(gapMs * (0.5 + Math.random()))
    }
    return {
      begun: spread(found.map((one) => one.begun)),
      ended: this.#system.tellsEnds ? spread(found.map((one) => one.ended)) : undefined,
      acknowledged: spread(found.map((one) => one.acknowledged)),
    }
  }

  /** Works until the process ends, and reports each job. */
  async work(): Promise<void> {
    await this.#system.work({
      asksWho: true,
      begun: (id) => this.#tell('begun', id),
      ended: (id) => this.#tell('ended', id),
    })
    this.#workCpu = process.cpuUsage()
  }

  /** CPU milliseconds since `work` was ordered, or since the last call. */
  async cpu(): Promise<number> {
    const used = cpuMs(this.#workCpu)
    this.#workCpu = process.cpuUsage()
    return used
  }

  async open(): Promise<void> {
    await this.#system.open(1)
  }

  /** Enqueues one job. Returns when, on the clock of {@link monotonicMs}. */
  async ask(id: number): Promise<number> {
    const asked = monotonicMs()
    await this.#system.enqueueOne(payload(id))
    return asked
  }

  async close(): Promise<void> {
    await this.#system.close()
  }
}

function spread(values: readonly number[]): Spread {
  return { p50: percentile(values, 50), p99: percentile(values, 99) }
}

function cpuMs(since?: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since)
  return (user + system) / 1_000
}

function rssMb(): number {
  return Math.round(process.memoryUsage.rss() / 1_048_576)
}

/** Records when something happened to each job, and tells callers that wait for it. */
class Calls {
  readonly #waiting = new Map<number, (at: number) => void>()

  of(id: number): Promise<number> {
    return new Promise((resolve) => this.#waiting.set(id, resolve))
  }

  happened(id: number): void {
    this.#waiting.get(id)?.(monotonicMs())
    this.#waiting.delete(id)
  }
}
