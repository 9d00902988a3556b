import { dirname } from 'node:path'
import { rmSync } from 'node:fs'
import { Child } from './child.ts'
import type { Contestant } from './contestants.ts'
import type { Phases } from './phases.ts'
import type { Server, Servers } from './servers.ts'
import type { About } from './system.ts'

/** One contestant's round on a fresh, empty store. Each phase has a fresh process, so that none warms up another. */
export class Round implements AsyncDisposable {
  readonly about: About
  readonly server: Server
  readonly dsn: string
  readonly #contestant: Contestant

  static async begin(contestant: Contestant, servers: Servers): Promise<Round> {
    const server = await servers.get(contestant.server)
    const dsn = await server.dsn()
    await using child = new Child(contestant.module, { ...contestant.options, dsn })
    const about = await child.call('reset')
    await child.call('close')
    return new Round(contestant, server, dsn, about)
  }

  private constructor(contestant: Contestant, server: Server, dsn: string, about: About) {
    this.#contestant = contestant
    this.server = server
    this.dsn = dsn
    this.about = about
  }

  /** Starts a process of this system on this store. */
  child(options: Readonly<Record<string, unknown>> = {}): Child {
    return new Child(this.#contestant.module, { ...this.#contestant.options, ...options, dsn: this.dsn })
  }

  /** Measures one phase in its own process. */
  async phase<P extends Exclude<keyof Phases, symbol>>(
    phase: P,
    ...args: Parameters<Phases[P]>
  ): Promise<Awaited<ReturnType<Phases[P]>>> {
    await using child = this.child()
    const result = await child.call(phase, ...args)
    return result
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#contestant.server === 'file') rmSync(dirname(this.dsn), { recursive: true, force: true })
  }
}
