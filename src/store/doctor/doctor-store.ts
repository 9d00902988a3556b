import type { Database } from '../connection/database.ts'
import type { ClockFacts } from './clock-facts.ts'
import type { FleetFacts } from './fleet-facts.ts'
import type { QueryPlan } from './plan-facts.ts'
import type { RightsFacts } from './rights-facts.ts'
import type { RunFacts } from './run-facts.ts'
import type { SchemaFacts } from './schema-facts.ts'
import type { ServerFacts } from './server-facts.ts'
import type { SizeFacts } from './size-facts.ts'
import type { BrokenRow } from '../values/broken-row.ts'

/** Reads the facts about the database that `piko doctor` checks. Changes nothing. Its parts are loaded when they are needed. */
export class DoctorStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Makes one round trip. Returns how long it took, in milliseconds. */
  async ping(): Promise<number> {
    return (await import('./clock-facts.ts')).pinged(this.#database)
  }

  async server(): Promise<ServerFacts> {
    return (await import('./server-facts.ts')).serverFacts(this.#database)
  }

  async clock(now: () => number): Promise<ClockFacts> {
    return (await import('./clock-facts.ts')).clockFacts(this.#database, now)
  }

  async rights(): Promise<RightsFacts> {
    return (await import('./rights-facts.ts')).rightsFacts(this.#database)
  }

  async schema(): Promise<SchemaFacts> {
    return (await import('./schema-facts.ts')).schemaFacts(this.#database)
  }

  async sizes(): Promise<SizeFacts> {
    return (await import('./size-facts.ts')).sizeFacts(this.#database)
  }

  async runs(): Promise<RunFacts> {
    return (await import('./run-facts.ts')).runFacts(this.#database)
  }

  async fleet(): Promise<FleetFacts> {
    return (await import('./fleet-facts.ts')).fleetFacts(this.#database)
  }

  async plans(): Promise<readonly QueryPlan[]> {
    return (await import('./plan-facts.ts')).planFacts(this.#database)
  }

  async broken(): Promise<readonly BrokenRow[]> {
    return (await import('./broken-facts.ts')).brokenFacts(this.#database)
  }
}
