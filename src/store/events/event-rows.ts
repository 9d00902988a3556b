import type { ColumnType, Generated } from 'kysely'

type Instant = ColumnType<Date | string, Date | string, Date | string>
type NullableInstant = ColumnType<Date | string | null, Date | string | null | undefined, Date | string | null>

/** Changes of one transaction; see `EventStore`. */
export interface EventTable {
  id: Generated<number>
  /** The number of the row's first event. Null until `EventStore.number` has numbered the row. */
  seq: Generated<number | null>
  /** How many events the row contains. */
  size: number
  /** The changes, as JSON of `Packed[]`. */
  body: string
  created_at: Instant
}

export interface EventHeadTable {
  id: number
  /** The last number that was given to an event or skipped. */
  seq: Generated<number>
  /** The number after which events were recorded without gaps. */
  start_seq: Generated<number>
  /** From this instant on, every process records events. */
  complete_at: NullableInstant
  /** The instant until which processes record events. A reader moves this instant forward. */
  listened_until: NullableInstant
}

export interface EventTables {
  piko_event: EventTable
  piko_event_head: EventHeadTable
}
