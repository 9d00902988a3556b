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

/** What a worker tells about its jobs. */
export interface Witness {
  /** Whether `ended` has to say whose end it is. */
  readonly asksWho: boolean
  /** The first thing that a handler does. */
  readonly begun: (id: number) => void
  /** The job's end is in the store; from systems that tell. */
  readonly ended: (id: number) => void
}

/** A queue with durable jobs, as the benchmarks see it. Lives in a child process of its own for each phase. */
export interface System {
  /** Versions and settings, for the lines. */
  about(): Promise<About>
  /** Its tables or keys are there, and empty. */
  reset(): Promise<void>
  /** Opens what `enqueue` and `enqueueOne` need, for so many callers at once. */
  open(callers: number): Promise<void>
  /** Stores many jobs by one bulk call. */
  enqueue(jobs: readonly Payload[]): Promise<unknown>
  enqueueOne(job: Payload): Promise<unknown>
  /** Whether its worker says when a job's end is stored. */
  readonly tellsEnds: boolean
  /** Puts so many jobs there that have ended already; where growth is measured. */
  fill?(ended: number): Promise<void>
  /** Starts a worker of no-op handlers. */
  work(witness: Witness): Promise<unknown>
  /** Whether the store holds jobs that have not ended. */
  isPending(): Promise<boolean>
  /** How many jobs the store says succeeded; undefined if it forgets them. */
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
  /** Where the server is, or the file. */
  readonly dsn: string
  readonly [option: string]: unknown
}
