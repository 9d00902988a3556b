import { type Selectable, sql } from 'kysely'
import type { Alert } from '../../notice/alert.ts'
import type { NewMessage } from '../../notice/channels.ts'
import type { Notice, NoticeJob, NoticeKind } from '../../notice/notice.ts'
import { batchesOf, sentBytes } from '../../sql/statement-size.ts'
import { isObject } from '../../errors-read.ts'
import { storedInstant } from '../../time/instant.ts'
import { deleteOld } from '../statements/delete-old.ts'
import type { Database } from '../connection/database.ts'
import { optionalDate } from '../runs/run-row.ts'
import { soundRows } from '../values/broken-row.ts'
import { insertedId } from '../statements/inserted-id.ts'
import type { MessageState, MessageTable } from './notice-tables.ts'

/** A message to a channel: waiting for delivery, delivered, or given up. */
export interface StoredMessage {
  readonly id: number
  readonly channel: string
  readonly kind: NoticeKind
  readonly notice: Notice
  readonly state: MessageState
  readonly dueAt: Date
  readonly tries: number
  /** Why the last try failed. */
  readonly error: string | undefined
  readonly createdAt: Date
  readonly sentAt: Date | undefined
}

/** A message that is due. */
export interface DueMessage extends StoredMessage {
  /** How long the message has been due, in milliseconds. */
  readonly dueForMs: number
}

/** A channel, and a kind of notice that is sent to it. */
export type Destination = Pick<StoredMessage, 'channel' | 'kind'>

export interface DueMessages {
  readonly messages: DueMessage[]
  /**
   * How many milliseconds remain until the next message is due, and until the next one that was tried before. `Infinity` if there is none.
   */
  readonly nextInMs: number
  readonly nextRetryInMs: number
  /** Whether more messages may be due. */
  readonly isFull: boolean
}

const MAX_ROWS = 500
const ROW_BYTES = 400
const MAX_ERROR = 1_000
const PRUNED_AT_ONCE = 1_000

/** The messages to people. A message about alerts is stored together with their change. A message may be delivered more than once. */
export class MessageStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Stores messages. In the same transaction, deletes those of the alerts that have recovered, and marks the others as reported. */
  async tell(messages: readonly NewMessage[], told: readonly Alert[]): Promise<void> {
    const { dialect } = this.#database
    const texts = messages.map(({ channel, body }) => ({ channel, kind: body.kind, body: JSON.stringify(body) }))
    const limits = { maxRows: MAX_ROWS, maxBytes: dialect.sizes.batch }
    await this.#database.transaction(async (trx) => {
      for (const some of batchesOf(texts, ({ body }) => ROW_BYTES + sentBytes(body), limits)) {
        const rows = some.map((text) => ({
          ...text,
          ...{ state: 'due' as const, due_at: dialect.now(), created_at: dialect.now() },
        }))
        await trx.insertInto('piko_message').values(rows).execute()
      }
      for (const { jobId, problem, lastAt, recoveredAt } of told) {
        // A recovered alert stays if its job has failed again since the alert was read.
        if (recoveredAt)
          await trx
            .deleteFrom('piko_alert')
            .where('job_id', '=', jobId)
            .where('kind', '=', problem)
            .where('recovered_at', 'is not', null)
            .execute()
        else
          await trx
            .updateTable('piko_alert')
            .set({ told_at: dialect.later(dialect.now(), sql`${dialect.instant(lastAt)}`) })
            .where('job_id', '=', jobId)
            .where('kind', '=', problem)
            .execute()
      }
    })
  }

  /** Stores one message. @returns its id */
  async add({ channel, body }: NewMessage): Promise<number> {
    const { db, dialect, retry } = this.#database
    const insert = db.insertInto('piko_message').values({
      ...{ channel, kind: body.kind, body: JSON.stringify(body), state: 'due' },
      ...{ due_at: dialect.now(), created_at: dialect.now() },
    })
    return retry(() => insertedId(dialect, insert.returning('id')))
  }

  /**
   * Returns the messages that are due, oldest first, and when the next ones will be due.
   *
   * @param without messages of these kinds to these channels are left out
   */
  async due(limit: number, without: readonly Destination[] = []): Promise<DueMessages> {
    const { db, dialect, broken } = this.#database
    const rows = await db
      .selectFrom('piko_message')
      .selectAll()
      .select(dialect.now().as('now'))
      .where('state', '=', 'due')
      .$if(without.length > 0, (query) =>
        query.where((eb) =>
          eb(
            eb.refTuple('channel', 'kind'),
            'not in',
            without.map(({ channel, kind }) => eb.tuple(channel, kind)),
          ),
        ),
      )
      .orderBy('due_at')
      .orderBy('id')
      .limit(limit)
      .execute()
    const messages: DueMessage[] = []
    let [nextInMs, nextRetryInMs] = [Infinity, Infinity]
    for (const { now, ...row } of soundRows(dialect, 'piko_message', rows, broken.report)) {
      const message = this.#messageOf(row)
      const leftMs = message.dueAt.getTime() - dialect.date(now).getTime()
      if (leftMs <= 0) messages.push({ ...message, dueForMs: -leftMs })
      else {
        nextInMs = Math.min(nextInMs, leftMs)
        if (message.tries > 0) nextRetryInMs = Math.min(nextRetryInMs, leftMs)
      }
    }
    return { messages, nextInMs, nextRetryInMs, isFull: rows.length === limit }
  }

  /**
   * Reserves a message for delivery by this process. If this process dies, the message is due again after `forMs`.
   *
   * @returns false if another process has taken it
   */
  async take({ id, tries }: StoredMessage, forMs: number): Promise<boolean> {
    const { db, dialect, retry } = this.#database
    const { numUpdatedRows } = await retry(() =>
      db
        .updateTable('piko_message')
        .set({ due_at: dialect.nowPlus(forMs), tries: tries + 1 })
        .where('id', '=', id)
        .where('state', '=', 'due')
        .where('tries', '=', tries)
        .executeTakeFirstOrThrow(),
    )
    return numUpdatedRows > 0n
  }

  async sent(id: number): Promise<void> {
    const { db, dialect, retry } = this.#database
    const changes = { state: 'sent' as const, sent_at: dialect.now(), error: null }
    await retry(() => db.updateTable('piko_message').set(changes).where('id', '=', id).execute())
  }

  /** Stores that a delivery failed. @param retryInMs the delay before the next try; undefined: there is none */
  async failed(id: number, error: string, retryInMs: number | undefined): Promise<void> {
    const { db, dialect, retry } = this.#database
    const changes = {
      error: error.slice(0, MAX_ERROR).toWellFormed(),
      ...(retryInMs === undefined ? { state: 'dead' as const } : { due_at: dialect.nowPlus(retryInMs) }),
    }
    await retry(() =>
      db.updateTable('piko_message').set(changes).where('id', '=', id).where('state', '=', 'due').execute(),
    )
  }

  /** Lists the messages that match, newest first. */
  async list({
    limit = 100,
    state,
    before,
  }: { readonly limit?: number; readonly state?: MessageState; readonly before?: number } = {}): Promise<
    StoredMessage[]
  > {
    const { db, dialect, broken } = this.#database
    const rows = await db
      .selectFrom('piko_message')
      .selectAll()
      .$if(state !== undefined, (query) => query.where('state', '=', state ?? 'due'))
      .$if(before !== undefined, (query) => query.where('id', '<', before ?? 0))
      .orderBy('id', 'desc')
      .limit(limit)
      .execute()
    return soundRows(dialect, 'piko_message', rows, broken.report).map((row) => this.#messageOf(row))
  }

  /** Deletes some of the messages that were created at least this long ago. @returns whether there may be more */
  prune(olderThanMs: number): Promise<boolean> {
    return deleteOld(
      this.#database,
      { table: 'piko_message', key: 'id', since: 'created_at', atOnce: PRUNED_AT_ONCE },
      olderThanMs,
    )
  }

  #messageOf(row: Selectable<MessageTable>): StoredMessage {
    const { dialect } = this.#database
    return {
      ...{ id: Number(row.id), channel: row.channel, kind: row.kind, notice: noticeOf(row) },
      ...{ state: row.state, dueAt: dialect.date(row.due_at), tries: row.tries, error: row.error ?? undefined },
      ...{ createdAt: dialect.date(row.created_at), sentAt: optionalDate(row.sent_at, dialect) },
    }
  }
}

/** Parses a stored notice. Leaves out everything that can't be read, because a person may have edited the row. */
function noticeOf({ id, kind, body }: Pick<Selectable<MessageTable>, 'id' | 'kind' | 'body'>): Notice {
  const read = parsed(body)
  const jobs = Array.isArray(read['jobs']) ? (read['jobs'] as unknown[]).filter(isObject) : []
  return {
    ...{ id: Number(id), kind, at: instantIn(read, 'at') ?? new Date(0) },
    jobs: jobs.map((job) => jobIn(job as Record<string, unknown>)),
    jobCount: Number(read['jobCount'] ?? jobs.length),
    count: Number(read['count'] ?? 0),
  }
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

function jobIn(job: Record<string, unknown>): NoticeJob {
  const [recoveredAt, tick] = [instantIn(job, 'recoveredAt'), instantIn(job, 'tick')]
  const window = isObject(job['window']) ? (job['window'] as Record<string, unknown>) : {}
  const [start, end] = [instantIn(window, 'start'), instantIn(window, 'end')]
  return {
    ...(job as unknown as NoticeJob),
    since: instantIn(job, 'since') ?? new Date(0),
    lastAt: instantIn(job, 'lastAt') ?? new Date(0),
    ...(recoveredAt && { recoveredAt }),
    ...(tick && { tick }),
    ...(start && end && { window: { start, end } }),
  }
}

function instantIn(owner: Record<string, unknown>, name: string): Date | undefined {
  const value = owner[name]
  return typeof value === 'string' ? storedInstant(value) : undefined
}
