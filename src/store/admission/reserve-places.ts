import type { Transaction } from 'kysely'
import { LAST_INSTANT_MS } from '../../time/instant.ts'
import type { Database } from '../connection/database.ts'
import type { Tables } from '../tables.ts'
import { exactKey } from '../values/exact-key.ts'
import { type LimitPlace, LimitPlaces, type LimitRule } from './limit-places.ts'
import { aheadMs } from './rate-starts.ts'

export interface LimitRequest {
  readonly name: string
  readonly rule: LimitRule
  /** How much each waiting caller takes, in order. */
  readonly counts: readonly number[]
  /** How many single places to take for callers that will probably come. Only places that are free now are taken. */
  readonly more: number
  /** How long the single places may be kept, in milliseconds. */
  readonly holdMs: number
  /** How often a caller has missed its place; see `slackMs`. */
  readonly lateTries: number
  /** Whether a place may be taken up to `aheadMs` before it is free. */
  readonly isAhead: boolean
  readonly unused: readonly LimitPlace[]
  /** Used places whose callers were interrupted. */
  readonly late: readonly LimitPlace[]
}

export interface LimitAnswer {
  /** The places for the first callers, in order. */
  readonly places: readonly LimitPlace[]
  readonly more: readonly LimitPlace[]
  /** The milliseconds until the next caller's place may be taken; undefined if every caller has a place. */
  readonly retryInMs: number | undefined
}

/** The job id in the rows of limits that all nodes share. Such a limit is a rate without a job. */
export const NO_JOB = ''

/** Takes places for several callers in one transaction, while the limit's row is locked. */
export async function reservePlaces(
  database: Database,
  request: LimitRequest,
  monotonic: () => number,
): Promise<LimitAnswer> {
  const { dialect } = database
  const key = exactKey(request.name)
  return database.transaction(async (trx) => {
    const text = await lockedRow(trx, database, key)
    const askedAt = monotonic()
    const { now } = await trx.selectNoFrom(dialect.now().as('now')).executeTakeFirstOrThrow()
    const answeredAt = monotonic()
    const places = new LimitPlaces(text, request.rule, { nowMs: dialect.date(now).getTime(), askedAt, answeredAt })
    for (const place of request.late) places.postpone(place)
    for (const place of request.unused) places.giveBack(place)
    const answer = answerOf(places, request)
    await trx
      .updateTable('piko_rate')
      .set({
        starts: places.text,
        expires_at: dialect.instant(new Date(Math.min(LAST_INSTANT_MS, Math.ceil(places.expiresMs)))),
      })
      .where('job_id', '=', NO_JOB)
      .where('rate_key', '=', key)
      .execute()
    return answer
  })
}

function answerOf(places: LimitPlaces, { counts, more, holdMs, lateTries, rule, isAhead }: LimitRequest): LimitAnswer {
  const ahead = isAhead ? aheadMs(rule) : 0
  const taken: LimitPlace[] = []
  for (const count of counts) {
    const freeInMs = places.freeInMs(count)
    if (freeInMs > ahead) return { places: taken, more: [], retryInMs: freeInMs - ahead }
    taken.push(places.take(count, lateTries, 0))
  }
  const kept: LimitPlace[] = []
  while (kept.length < more && places.freeInMs(1) === 0) kept.push(places.take(1, lateTries, holdMs))
  return { places: taken, more: kept, retryInMs: undefined }
}

/** Locks the row of a limit. A missing row is created first, because it could not be locked. */
async function lockedRow(trx: Transaction<Tables>, { dialect }: Database, key: string): Promise<string> {
  const find = trx
    .selectFrom('piko_rate')
    .select('starts')
    .where('job_id', '=', NO_JOB)
    .where('rate_key', '=', key)
    .modifyEnd(dialect.forUpdate)
  const found = await find.executeTakeFirst()
  if (found) return found.starts
  const insert = trx
    .insertInto('piko_rate')
    .values({ job_id: NO_JOB, rate_key: key, starts: '[]', expires_at: dialect.nowPlus(60_000) })
  await dialect.insertIgnore(insert).execute()
  return (await find.executeTakeFirstOrThrow()).starts
}
