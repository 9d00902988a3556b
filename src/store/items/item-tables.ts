import type { ColumnType, Generated } from 'kysely'
import type { ItemState } from '../../item/item.ts'

type Instant = ColumnType<Date | string, Date | string, Date | string>
type NullableInstant = ColumnType<Date | string | null, Date | string | null | undefined, Date | string | null>

/** The items that the handler of one run has added, as one generation. After a replay, the handler adds its items to a new generation. */
export interface ItemRunTable {
  /**
   * The generation: the fence of the claim that began to add items. It is also the `scope` of the items, unless they are unique within
   * their job or a period.
   */
  fence: number
  run_id: number
  job_id: string
  /** How many items the generation has. Counted only if the job limits them. */
  stored: Generated<number>
  /** The result of the handler, as JSON. */
  output: Generated<string | null>
  /** When the handler finished adding items. After that, it is not called again. */
  seeded_at: NullableInstant
  /**
   * When the generation was closed: the run had ended, and no item was queued or running. If this is in the future, a replay has given up
   * the generation; see `giveUpItems`.
   */
  ended_at: NullableInstant
  created_at: Instant
}

export interface ItemTable {
  id: Generated<number>
  fence: number
  job_id: string
  kind: string
  lane_id: number
  state: ItemState
  priority: number
  due_at: Instant
  depth: number
  /** The scope in which `print` is unique: the fence; 0 for the whole job; or −1 minus the number of a period. */
  scope: number
  /** The SHA-256 of the kind and the key. */
  print: string
  item_key: string
  data: string | null
  parent_id: number | null
  node_id: string | null
  /** How many times the item was claimed. With `node_id`, this fences the end of the item. */
  claims: Generated<number>
  /** How many tries have failed, by error class, as JSON. */
  tries: Generated<string | null>
  /** Why the item was skipped, or the error class of a dead item. */
  reason: Generated<string | null>
  error: Generated<string | null>
  /** Where bytes for the next attempt are: `store`, or the name of a file. */
  kept: Generated<string | null>
  position: Generated<string | null>
  created_at: Instant
  started_at: NullableInstant
  finished_at: NullableInstant
}

export interface ItemBodyTable {
  item_id: number
  body: Uint8Array
}

/** Counts of a run's items. Each node writes its own rows, so that nodes need not wait for each other. */
export interface ItemCountTable {
  fence: number
  kind: string
  what: string
  node_id: string
  amount: number
}

/** A lane: the queue of items that share limits. Its running items are counted from the items themselves. */
export interface LaneTable {
  id: Generated<number>
  scope: string
  name: string
  /** When a claim must read the lane again. Null: the lane has no queued items, is paused, or could not be read. */
  next_at: NullableInstant
  /** When the next item may begin, according to the lane's rate or a wait that an error asked for. */
  free_at: NullableInstant
  rate_limit: number | null
  rate_ms: number | null
  parallel: number | null
  /** The minimum time between two items, from a note. */
  delay_ms: Generated<number | null>
  factor: Generated<number>
  successes: Generated<number>
  failures: Generated<number>
  recent: Generated<number>
  opens: Generated<number>
  open_until: NullableInstant
  paused_at: NullableInstant
  /** When a node last looked up the lane's id, accurate to an hour. Null if none has since this column was added. */
  used_at: NullableInstant
}

/** The speed of a lane, as one node measured it. */
export interface LaneSpeedTable {
  lane_id: number
  node_id: string
  measured_at: Instant
  span_ms: number
  ended: number
  p50_ms: number | null
  p95_ms: number | null
}

export interface LaneNoteTable {
  lane_id: number
  name: string
  note: string
  expires_at: Instant
}

/** A named state. Only one item holds it at a time. */
export interface ItemStateTable {
  job_id: string
  pool: string
  name: string
  /** The state as JSON; null until it has been created. */
  state: string | null
  uses: Generated<number>
  errors: Generated<number>
  /** The item that holds the state. */
  item_id: number | null
  /** How many times the item that holds the state has been claimed. */
  claims: number | null
  used_at: Instant
  retired_at: NullableInstant
}

export interface ItemScoreTable {
  job_id: string
  score_group: string
  name: string
  ok: number
  failed: number
  failures: number
  success_share: number
  ms: number | null
  updated_at: Instant
}

export interface ItemTables {
  piko_item_run: ItemRunTable
  piko_item: ItemTable
  piko_item_body: ItemBodyTable
  piko_item_count: ItemCountTable
  piko_lane: LaneTable
  piko_lane_note: LaneNoteTable
  piko_lane_speed: LaneSpeedTable
  piko_item_state: ItemStateTable
  piko_item_score: ItemScoreTable
}
