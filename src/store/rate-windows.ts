import { type Selectable, type Transaction } from 'kysely'
import { type AdmissionLimits } from '../job/admission.ts'
import { batchesOf, sentBytes } from '../sink/statement-size.ts'
import { type Blocked } from './admission.ts'
import { type Dialect } from './dialect.ts'
import { startsSince, type Starts, untilFree, withStarts } from './rate-starts.ts'
import { type RunTable, type Tables } from './tables.ts'

type Candidate = Pick<Selectable<RunTable>, 'job_id' | 'rate_key'>

interface RateWindow {
  readonly jobId: string
  /** Empty for a job as a whole. */
  readonly key: string
  readonly limit: NonNullable<AdmissionLimits['rate']>
  starts: Starts
  added: number
}

const MAX_ROWS = 1_000
/** A job's id and an instant. */
const ROW_BYTES = 250

/** The rates of the jobs of one claim, read and written under the locks of their rows. */
export class RateWindows {
  readonly #windows = new Map<string, RateWindow>()
  #nowMs = 0

  static async read(
    trx: Transaction<Tables>,
    dialect: Dialect,
    candidates: readonly Candidate[],
    limits: ReadonlyMap<string, AdmissionLimits>,
    jobIds: readonly string[],
  ): Promise<RateWindows> {
    const windows = new RateWindows()
    const mine = new Set(jobIds)
    for (const row of candidates) {
      const limit = mine.has(row.job_id) ? limits.get(row.job_id)?.rate : undefined
      const key = limit?.isKeyed ? row.rate_key : ''
      if (!limit || key === null) continue
      windows.#windows.set(nameOf(row.job_id, key), { jobId: row.job_id, key, limit, starts: [], added: 0 })
    }
    if (windows.#windows.size === 0) return windows
    const all = [...windows.#windows.values()]
    const { now } = await trx.selectNoFrom(dialect.now().as('now')).executeTakeFirstOrThrow()
    windows.#nowMs = dialect.date(now).getTime()
    const rows = await trx
      .selectFrom('piko_rate')
      .select(['job_id', 'rate_key', 'starts'])
      .where('job_id', 'in', [...new Set(all.map((one) => one.jobId))])
      .where('rate_key', 'in', [...new Set(all.map((one) => one.key))])
      .execute()
    for (const row of rows) {
      const window = windows.#windows.get(nameOf(row.job_id, row.rate_key))
      if (window) window.starts = startsSince(JSON.parse(row.starts) as Starts, windows.#nowMs, window.limit)
    }
    return windows
  }

  /** Whether, and how long, a run has to wait. */
  blocks(row: Candidate): Blocked | undefined {
    const window = this.#windowOf(row)
    if (!window) return undefined
    const retryInMs = untilFree(window.starts, window.added, this.#nowMs, window.limit)
    if (retryInMs === 0) return undefined
    return { jobId: window.jobId, ...(window.limit.isKeyed && { rateKey: window.key }), retryInMs }
  }

  add(row: Candidate): void {
    const window = this.#windowOf(row)
    if (window) window.added += 1
  }

  #windowOf(row: Candidate): RateWindow | undefined {
    const key = row.rate_key === null ? undefined : this.#windows.get(nameOf(row.job_id, row.rate_key))
    return key ?? this.#windows.get(nameOf(row.job_id, ''))
  }

  async write(trx: Transaction<Tables>, dialect: Dialect): Promise<void> {
    const rows = [...this.#windows.values()]
      .filter((window) => window.added > 0)
      .map((window) => ({
        job_id: window.jobId,
        rate_key: window.key,
        starts: JSON.stringify(withStarts(window.starts, window.added, this.#nowMs, window.limit)),
        expires_at: dialect.instant(new Date(this.#nowMs + 2 * window.limit.perMs)),
      }))
    const limits = { maxRows: MAX_ROWS, maxBytes: dialect.sizes.batch }
    for (const batch of batchesOf(rows, (row) => ROW_BYTES + sentBytes(row.rate_key) + sentBytes(row.starts), limits)) {
      const insert = trx.insertInto('piko_rate').values(batch)
      await (
        dialect.name === 'sqlite'
          ? insert.onConflict((oc) =>
              oc.columns(['job_id', 'rate_key']).doUpdateSet((eb) => ({
                starts: eb.ref('excluded.starts'),
                expires_at: eb.ref('excluded.expires_at'),
              })),
            )
          : insert.onDuplicateKeyUpdate((eb) => ({
              starts: eb.fn('VALUES', ['starts']),
              expires_at: eb.fn('VALUES', ['expires_at']),
            }))
      ).execute()
    }
  }
}

function nameOf(jobId: string, key: string): string {
  return `${jobId}\n${key}`
}
