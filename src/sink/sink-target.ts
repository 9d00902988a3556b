import type { DeadLetters } from './delivery/dead-row.ts'
import type { DeliveryCounts } from './delivery/sink-stats.ts'
import type { Routes } from './routes.ts'
import type { Sink } from './sink.ts'
import type { SinkObserver, SpillJournal } from './sink-observer.ts'
import type { SinkPolicy } from './sink-policy.ts'
import type { DiskSpill } from './spill/disk-spill.ts'
import type { SpillQueue } from './spill/spill-queue.ts'

/** A sink of the process, with its routes, rules and counts. */
export interface SinkTarget {
  readonly name: string
  readonly sink: Sink
  readonly routes: Routes
  readonly policy: SinkPolicy
  readonly counts: DeliveryCounts
  readonly deadLetters?: DeadLetters | undefined
  readonly spill?: SpillQueue | undefined
}

export interface OwnedSink extends SinkTarget {
  readonly spill: DiskSpill | undefined
  /** Resolves when the sink is open. Undefined until it is opened, and again if opening it fails. */
  opened: Promise<void> | undefined
}

/** The parts that keep rows after their run has ended: dead letters and spills. */
export interface DurableParts {
  readonly deadLetters: DeadLetters
  readonly journal: SpillJournal
  readonly observer: SinkObserver
  /** The folder for the spills of all apps. */
  readonly spillDir: string
  /** The name of this app's folder. */
  readonly app: () => Promise<string>
}
