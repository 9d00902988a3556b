import { createHash } from 'node:crypto'
import type { Selectable } from 'kysely'
import { PikoError } from '../../errors.ts'
import { note } from '../events/notes.ts'
import { assertSound, soundRows } from '../values/broken-row.ts'
import type { Database } from '../connection/database.ts'
import type { Dialect } from '../connection/dialect.ts'
import { exactId } from '../values/exact-key.ts'
import { inPages } from '../statements/pages.ts'
import { mapSound } from '../values/map-sound.ts'
import { fromJson, MAX_CONFIG_BYTES, toJson } from '../../json/json.ts'
import type { JobConfigTable } from '../tables.ts'
import { unknownJob } from './unknown-job.ts'

/** One version of a job's config. A stored version never changes. */
export interface ConfigVersion {
  readonly jobId: string
  /** The number of the version; 1 for the first. The store assigns it. */
  readonly version: number
  readonly config: unknown
  /**
   * When the version takes effect, by the database's clock. If this time has passed for several versions, the one with the highest number
   * is used.
   */
  readonly effectiveFrom: Date
  readonly createdAt: Date
}

/** A version as a node reads it. */
export interface StoredVersion extends ConfigVersion {
  readonly id: number
  /** Whether a person has written this version: its text is not the one that Piko has checked and saved. */
  readonly isByHand: boolean
}

/** The subject of the settings for all nodes. No job has such an id. */
export const NODE_SETTINGS = '@node'
const ONE_NODE = `${NODE_SETTINGS}:`
const MAX_SUBJECT = 128

/** Returns the subject of the settings for one host or node; undefined if its name is too long. */
export function settingsOf(hostOrNode: string): string | undefined {
  const subject = `${ONE_NODE}${hostOrNode}`
  return subject.length <= MAX_SUBJECT ? subject : undefined
}

/** Whether this is a subject of settings for nodes, and not the id of a job. */
export function isSettings(jobId: string): boolean {
  return jobId === NODE_SETTINGS || jobId.startsWith(ONE_NODE)
}

/** A short summary. It shows a node whether any config has changed. */
export interface ConfigState {
  /** The time of the database's clock. */
  readonly now: Date
  /** A string that changes with every added version, even if two versions are not committed in the order in which they were begun. */
  readonly mark: string
}

/** Stores the configs that are set for jobs at run time. */
export class ConfigStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * Adds a version. Locks the job's row, so that two concurrent saves get different numbers.
   *
   * @param effectiveFrom default: now
   * @throws PikoError `JOB_UNKNOWN` if no node has registered the job, `USAGE` if JSON can't represent the config or the JSON is larger
   * than 60,000 bytes
   */
  async save(jobId: string, config: unknown, effectiveFrom?: Date): Promise<ConfigVersion> {
    const text = toJson(config ?? {}, 'config', MAX_CONFIG_BYTES) ?? '{}'
    return this.#add(jobId, () => Promise.resolve(text), effectiveFrom)
  }

  /**
   * Adds a version that changes the current one. If there are two changes at the same time, the second sees the first.
   *
   * @param changed returns the new config; receives the newest configs whose `effectiveFrom` has passed, newest first, at most 20
   */
  async change(
    jobId: string,
    changed: (newest: readonly unknown[]) => unknown,
    effectiveFrom?: Date,
  ): Promise<ConfigVersion> {
    const { dialect } = this.#database
    const textOf = async (trx: Database['db']): Promise<string> => {
      const rows = await trx
        .selectFrom('piko_job_config')
        .select('config')
        .where('job_id', '=', exactId(jobId))
        .where('effective_from', '<=', dialect.now())
        .orderBy('id', 'desc')
        .limit(MAX_NEWEST)
        .execute()
      return toJson(changed(rows.flatMap(readable)), 'config', MAX_CONFIG_BYTES) ?? '{}'
    }
    return this.#add(jobId, textOf, effectiveFrom)
  }

  /**
   * Adds a version with the content of an earlier one.
   *
   * @param assertValid throws if the old content is no longer valid
   * @throws PikoError `JOB_UNKNOWN`, `CONFIG_UNKNOWN` if there is no such version
   */
  async rollback(jobId: string, version: number, assertValid: (config: unknown) => void): Promise<ConfigVersion> {
    return this.#add(jobId, async (trx) => {
      const row = await trx
        .selectFrom('piko_job_config')
        .select(['id', 'config'])
        .where('job_id', '=', jobId)
        .where('version', '=', version)
        .executeTakeFirst()
      if (row) {
        assertSound(this.#database.dialect, 'piko_job_config', row)
        assertValid(fromJson(row.config))
        return row.config
      }
      throw new PikoError('CONFIG_UNKNOWN', `job "${jobId}" has no config version ${version}; see its history`, {
        details: { jobId, version },
      })
    })
  }

  async #add(
    jobId: string,
    textOf: (trx: Database['db']) => Promise<string>,
    effectiveFrom?: Date,
  ): Promise<ConfigVersion> {
    const { dialect } = this.#database
    const add = () =>
      this.#database.transaction(async (trx) => {
        if (!isSettings(jobId)) await lockJob(trx, dialect, jobId)
        const { latest } = await trx
          .selectFrom('piko_job_config')
          .select((eb) => eb.fn.max('version').as('latest'))
          .where('job_id', '=', jobId)
          .executeTakeFirstOrThrow()
        const version = Number(latest ?? 0) + 1
        const config = await textOf(trx)
        await trx
          .insertInto('piko_job_config')
          .values({
            job_id: jobId,
            version,
            config,
            digest: digestOf(config),
            effective_from: effectiveFrom ? dialect.instant(effectiveFrom) : dialect.now(),
            created_at: dialect.now(),
          })
          .execute()
        note(trx, () => [{ kind: 'config', jobId, version }])
        const row = await trx
          .selectFrom('piko_job_config')
          .selectAll()
          .where('job_id', '=', jobId)
          .where('version', '=', version)
          .executeTakeFirstOrThrow()
        return versionOf(row, dialect)
      })
    for (let tries = 1; ; tries++) {
      try {
        return await add()
      } catch (thrown) {
        // For settings of nodes there is no row to lock, so two concurrent saves may choose the same number.
        if (tries === MAX_TRIES || !dialect.isDuplicate(thrown)) throw thrown
      }
    }
  }

  /**
   * Returns a job's versions, newest first.
   *
   * @param before only versions with smaller numbers
   */
  async history(jobId: string, limit = 100, before?: number): Promise<ConfigVersion[]> {
    const { db, dialect } = this.#database
    const query = db
      .selectFrom('piko_job_config')
      .selectAll()
      .where('job_id', '=', exactId(jobId))
      .orderBy('version', 'desc')
    const first = before === undefined ? query : query.where('version', '<', before)
    const rows = await inPages<Selectable<JobConfigTable>>(limit, (size, last) =>
      (last ? query.where('version', '<', last.version) : first).limit(size).execute(),
    )
    return mapSound(dialect, 'piko_job_config', rows, (row) => versionOf(row, dialect), this.#database.broken.report)
  }

  /** Reads with one short query whether any config has changed, and whether there are readers of events. */
  async state(): Promise<ConfigState> {
    const { db, dialect } = this.#database
    const askedAt = performance.now()
    const listened = db.selectFrom('piko_event_head').select('id').where('listened_until', '>=', dialect.now()).limit(1)
    const row = await db
      .selectFrom('piko_job_config')
      .select((eb) => [dialect.now().as('now'), eb.fn.countAll<number>().as('count'), eb.fn.max('id').as('last')])
      .select(listened.as('listened'))
      .executeTakeFirstOrThrow()
    this.#database.recording.heard(row.listened !== null, askedAt)
    return { now: dialect.date(row.now), mark: `${row.count}/${row.last ?? 0}` }
  }

  /**
   * Returns the current and the future versions of every job. A version is ignored if it is unreadable or if `isRefused` refuses it; the
   * previous one is then still used.
   *
   * @returns `broken`: the ids of unreadable versions
   */
  async inForce(
    isRefused: (version: StoredVersion) => boolean = () => false,
  ): Promise<{ readonly versions: readonly StoredVersion[]; readonly broken: ReadonlySet<number> }> {
    const { dialect } = this.#database
    const except = new Set<number>()
    const broken = new Set<number>()
    for (;;) {
      const rows = await this.#inForce([...except])
      const sound = soundRows(dialect, 'piko_job_config', rows, (row) => {
        if (row.id !== undefined) {
          except.add(row.id)
          broken.add(row.id)
        }
        this.#database.broken.report(row)
      })
      const versions = sound.map((row) => storedVersionOf(row, dialect))
      const kept = versions.filter((version) => {
        if (!isRefused(version)) return true
        except.add(version.id)
        return false
      })
      // If a version was unreadable or refused, this reads again, because the version in its place must also be checked.
      if (kept.length === rows.length || except.size > MAX_BROKEN) return { versions: kept, broken }
    }
  }

  #inForce(except: readonly number[]): Promise<Selectable<JobConfigTable>[]> {
    const { db, dialect } = this.#database
    return db
      .selectFrom('piko_job_config')
      .selectAll()
      .where((eb) =>
        eb.or([
          eb('effective_from', '>', dialect.now()),
          eb(
            'id',
            'in',
            eb
              .selectFrom('piko_job_config as past')
              .select((of) => of.fn.max('past.id').as('id'))
              .where('past.effective_from', '<=', dialect.now())
              .$if(except.length > 0, (past) => past.where('past.id', 'not in', except))
              .groupBy('past.job_id'),
          ),
        ]),
      )
      .$if(except.length > 0, (query) => query.where('id', 'not in', except))
      .orderBy('id')
      .execute()
  }
}

/** How many versions a change reads. One is not enough, because people may have written invalid ones. */
const MAX_NEWEST = 20

function readable({ config }: { readonly config: string }): unknown[] {
  try {
    return [fromJson(config)]
  } catch {
    // The config watcher reports the unreadable version.
    return []
  }
}

/** How many version numbers a save tries, because other nodes may take the same numbers. */
const MAX_TRIES = 10
/** After this many unreadable or refused versions, the search for valid ones ends. */
const MAX_BROKEN = 1_000

async function lockJob(trx: Database['db'], dialect: Dialect, jobId: string): Promise<void> {
  const job = await trx
    .selectFrom('piko_job')
    .select('id')
    .where('id', '=', jobId)
    .modifyEnd(dialect.forUpdate)
    .executeTakeFirst()
  if (!job) throw unknownJob(jobId)
}

function digestOf(config: string): string {
  return createHash('sha256').update(config).digest('hex')
}

function storedVersionOf(row: Selectable<JobConfigTable>, dialect: Dialect): StoredVersion {
  // In rows from earlier versions of Piko, the digest is empty.
  const isByHand = row.digest !== '' && row.digest !== digestOf(row.config)
  return { ...versionOf(row, dialect), id: row.id, isByHand }
}

function versionOf(row: Selectable<JobConfigTable>, dialect: Dialect): ConfigVersion {
  return {
    jobId: row.job_id,
    version: row.version,
    config: fromJson(row.config),
    effectiveFrom: dialect.date(row.effective_from),
    createdAt: dialect.date(row.created_at),
  }
}
