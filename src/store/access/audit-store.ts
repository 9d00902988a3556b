import type { Selectable } from 'kysely'
import type { Actor, ActorKind } from '../../access/actor.ts'
import { fromJson } from '../../json/json.ts'
import type { Database } from '../connection/database.ts'
import { note } from '../events/notes.ts'
import { optionalDate } from '../runs/run-row.ts'
import { deleteOld } from '../statements/delete-old.ts'
import { inPages } from '../statements/pages.ts'
import { exactId } from '../values/exact-key.ts'
import { mapSound } from '../values/map-sound.ts'
import { insertedId } from '../statements/inserted-id.ts'
import type { AuditOutcome, AuditTable } from './access-tables.ts'

/** A change that is about to be made. `request` and `before` are JSON without secrets. */
export interface NewAudit {
  readonly verb: string
  readonly actor: Pick<Actor, 'kind' | 'name'>
  readonly jobId: string | undefined
  readonly target: string | undefined
  readonly reason: string | undefined
  readonly request: string | undefined
  readonly before: string | undefined
}

/** What readers of events see of a change. */
export type AuditedChange = Pick<NewAudit, 'verb' | 'actor' | 'jobId'>

export interface AuditEnd {
  readonly outcome: Exclude<AuditOutcome, 'started'>
  readonly after: string | undefined
  /** What was changed, if this was not known before the change. */
  readonly target?: string | undefined
  readonly errorCode?: string | undefined
}

/** One change: who made it, what it was, and the states before and after it. */
export interface AuditRecord {
  readonly id: number
  /** The noun and the verb of the change, such as `jobs.pause`. */
  readonly verb: string
  readonly actor: { readonly kind: ActorKind; readonly name: string }
  readonly jobId: string | undefined
  /** What was changed, such as `run 17`. */
  readonly target: string | undefined
  readonly reason: string | undefined
  /** The arguments of the call. */
  readonly request: unknown
  readonly before: unknown
  readonly after: unknown
  /**
   * How the change ended. `done`: it succeeded. `started`: it is in progress, its process ended during it, or its end could not be
   * recorded. `unknown`: it failed, and may have changed something.
   */
  readonly outcome: AuditOutcome
  readonly errorCode: string | undefined
  readonly beganAt: Date
  readonly endedAt: Date | undefined
}

export interface AuditFilter {
  readonly jobId?: string
  readonly verb?: string
  /** Who made the change: the name of a token, `user@host`, or `loopback`. */
  readonly actor?: string
  readonly outcome?: AuditOutcome
  /** Only changes that began at this instant or later. */
  readonly from?: Date
  /** Only changes that began before this instant. */
  readonly to?: Date
  /** Selects only records with smaller ids. Pass the id of the last record to get the next page. */
  readonly before?: number
  /** The maximum number of records, newest first. Default 100. */
  readonly limit?: number
}

const MAX_TARGET = 255
const MAX_ACTOR = 255
const MAX_REASON = 500
/** The maximum number of rows that one query reads. A row may be several dozen kilobytes in size. */
const PAGE = 100
const PRUNED_AT_ONCE = 1_000

/** Stores who changed what. A row is written before its change and completed afterwards. */
export class AuditStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Begins a record. @returns the id of the new row */
  async begin({ verb, actor, jobId, target, reason, request, before }: NewAudit): Promise<number> {
    const { db, dialect, retry } = this.#database
    const insert = db.insertInto('piko_audit').values({
      ...{ verb, began_at: dialect.now(), outcome: 'started', actor_kind: actor.kind },
      actor: cut(actor.name, MAX_ACTOR),
      job_id: jobId === undefined || exactId(jobId) === '' ? null : jobId.slice(0, 128),
      target: target === undefined ? null : cut(target, MAX_TARGET),
      reason: reason === undefined ? null : cut(reason, MAX_REASON),
      request: request ?? null,
      before_change: before ?? null,
    })
    return retry(() => insertedId(dialect, insert.returning('id')))
  }

  /** Completes the row of a change, and records the change for the readers of events. */
  async end(id: number, { outcome, after, target, errorCode }: AuditEnd, about: AuditedChange): Promise<void> {
    const { dialect, transaction } = this.#database
    const { verb, jobId, actor } = about
    await transaction(async (trx) => {
      const update = trx
        .updateTable('piko_audit')
        .set({
          outcome,
          ended_at: dialect.now(),
          after_change: after ?? null,
          error_code: errorCode ?? null,
          ...(target !== undefined && { target: cut(target, MAX_TARGET) }),
        })
        .where('id', '=', id)
        .where('outcome', '=', 'started')
      const { numUpdatedRows } = await update.executeTakeFirstOrThrow()
      if (numUpdatedRows === 0n) return
      note(trx, () => [
        { kind: 'audit', auditId: id, verb, ...(jobId !== undefined && { jobId }), actor: cut(actor.name, MAX_ACTOR) },
      ])
    })
  }

  /** Deletes the row of a change that was refused. */
  async withdraw(id: number): Promise<void> {
    const { db, retry } = this.#database
    await retry(() => db.deleteFrom('piko_audit').where('id', '=', id).where('outcome', '=', 'started').execute())
  }

  /** Returns the matching records, newest first. */
  async list(filter: AuditFilter = {}): Promise<AuditRecord[]> {
    const { dialect, broken } = this.#database
    const { limit = 100, before } = filter
    const rows = await inPages<Selectable<AuditTable>>(
      limit,
      (size, last) =>
        this.#matching(filter, last?.id ?? before)
          .orderBy('id', 'desc')
          .limit(size)
          .execute(),
      PAGE,
    )
    return mapSound(dialect, 'piko_audit', rows, (row) => this.#recordOf(row), broken.report)
  }

  #matching({ jobId, verb, actor, outcome, from, to }: AuditFilter, before: number | undefined) {
    const { db, dialect } = this.#database
    return db
      .selectFrom('piko_audit')
      .selectAll()
      .$if(before !== undefined, (query) => query.where('id', '<', before ?? 0))
      .$if(jobId !== undefined, (query) => query.where('job_id', '=', exactId(jobId ?? '')))
      .$if(verb !== undefined, (query) => query.where('verb', '=', exactId(verb ?? '')))
      .$if(actor !== undefined, (query) => query.where('actor', '=', cut(actor ?? '', MAX_ACTOR)))
      .$if(outcome !== undefined, (query) => query.where('outcome', '=', outcome ?? 'done'))
      .$if(from !== undefined, (query) => query.where('began_at', '>=', dialect.instant(from ?? new Date(0))))
      .$if(to !== undefined, (query) => query.where('began_at', '<', dialect.instant(to ?? new Date(0))))
  }

  /** Deletes some of the records of changes that began at least this long ago. @returns whether there may be more */
  prune(olderThanMs: number): Promise<boolean> {
    return deleteOld(
      this.#database,
      { table: 'piko_audit', key: 'id', since: 'began_at', atOnce: PRUNED_AT_ONCE },
      olderThanMs,
    )
  }

  #recordOf(row: Selectable<AuditTable>): AuditRecord {
    const { dialect } = this.#database
    return {
      ...{ id: Number(row.id), verb: row.verb, actor: { kind: row.actor_kind, name: row.actor } },
      ...{ jobId: row.job_id ?? undefined, target: row.target ?? undefined, reason: row.reason ?? undefined },
      ...{ request: fromJson(row.request), before: fromJson(row.before_change), after: fromJson(row.after_change) },
      ...{ outcome: row.outcome, errorCode: row.error_code ?? undefined },
      ...{ beganAt: dialect.date(row.began_at), endedAt: optionalDate(row.ended_at, dialect) },
    }
  }
}

/** Shortens a string. If the cut splits a surrogate pair, the remaining half is replaced, because it can't be stored as UTF-8. */
function cut(text: string, characters: number): string {
  return text.slice(0, characters).toWellFormed()
}
