/** About 100 bytes of JSON, the same for every system. */
export interface Payload {
  readonly id: number
  readonly to: string
  readonly subject: string
  readonly pad: string
}

export function payload(id: number): Payload {
  return { id, to: `user${id}@example.test`, subject: 'hello', pad: 'x'.repeat(30) }
}

/** A worker's reports about its jobs. */
export interface Witness {
  /** Whether `ended` must be called with the id of the job. */
  readonly asksWho: boolean
  /** Called as the first action of a handler. */
  readonly begun: (id: number) => void
  /** Called when the job's end is stored, by systems that report it. */
  readonly ended: (id: number) => void
}

/** A queue with durable jobs, as the benchmarks see it. Lives in its own child process for each phase. */
export interface System {
  /** Returns versions and settings, for the lines. */
  about(): Promise<About>
  /** Creates or empties its tables or keys. */
  reset(): Promise<void>
  /** Opens the connections that `enqueue` and `enqueueOne` need for this number of parallel callers. */
  open(callers: number): Promise<void>
  /** Stores many jobs with one bulk call. */
  enqueue(jobs: readonly Payload[]): Promise<unknown>
  enqueueOne(job: Payload): Promise<unknown>
  /** Whether its worker reports when a job's end is stored. */
  readonly tellsEnds: boolean
  /** Stores this number of ended jobs. Only for systems whose growth is measured. */
  fill?(ended: number): Promise<void>
  /** Starts a worker of no-op handlers. */
  work(witness: Witness): Promise<unknown>
  /** Whether the store holds jobs that have not ended. */
  isPending(): Promise<boolean>
  /** The number of succeeded jobs in the store; undefined if the system deletes them. */
  succeeded(): Promise<number | undefined>
  close(): Promise<unknown>
}

export interface About {
  readonly versions: Readonly<Record<string, string>>
  readonly settings: Readonly<Record<string, unknown>>
}

/** The default export of a system's module. */
export type SystemFactory = (config: SystemConfig) => System | Promise<System>

export interface SystemConfig {
  /** The address of the server, or the path of the file. */
  readonly dsn: string
  readonly [option: string]: unknown
}
