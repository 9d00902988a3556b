import type { Selectable } from 'kysely'
import { PikoError } from '../../errors.ts'
import { assertSound, soundRows } from '../values/broken-row.ts'
import type { Database } from '../connection/database.ts'
import type { Dialect } from '../connection/dialect.ts'
import { exactId } from '../values/exact-key.ts'
import { inPages } from '../statements/pages.ts'
import { mapSound } from '../values/map-sound.ts'
import { fromJson, MAX_CONFIG_BYTES, toJson } from '../../json/json.ts'
import type { JobConfigTable } from '../tables.ts'
import { unknownJob } from './unknown-job.ts'

/** One version of a job's config. Versions are only ever added. */
export interface ConfigVersion {
  readonly jobId: string
  /** 1 for the first version; assigned by the store. */
  readonly version: number
  readonly config: unknown
  /** On the database's clock. The highest effective version is in force. */
  readonly effectiveFrom: Date
  readonly createdAt: Date
}

/** A short summary from which a node sees whether any config has changed. */
export interface ConfigState {
  /** The time of the database's clock. */
  readonly now: Date
  /** Changes with every added version, even if a version that began earlier is committed later. */
  readonly mark: string
}

/** The configuration of jobs at run time. */
export class ConfigStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * Adds a version. The job's row is locked meanwhile, so two simultaneous saves get different numbers.
   *
   * @param effectiveFrom default: now
   * @throws PikoError `JOB_UNKNOWN` if no node has registered the job, `USAGE` if JSON can't represent the config
   */
  async save(jobId: string, config: unknown, effectiveFrom?: Date): Promise<ConfigVersion> {
    const text = toJson(config ?? {}, 'config', MAX_CONFIG_BYTES) ?? '{}'
    return this.#add(jobId, () => Promise.resolve(text), effectiveFrom)
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
    return this.#database.transaction(async (trx) => {
      const job = await trx
        .selectFrom('piko_job')
        .select('id')
        .where('id', '=', jobId)
        .modifyEnd(dialect.forUpdate)
        .executeTakeFirst()
      if (!job) throw unknownJob(jobId)
      const { latest } = await trx
        .selectFrom('piko_job_config')
        .select((eb) => eb.fn.max('version').as('latest'))
        .where('job_id', '=', jobId)
        .executeTakeFirstOrThrow()
      const version = Number(latest ?? 0) + 1
      await trx
        .insertInto('piko_job_config')
        .values({
          job_id: jobId,
          version,
          config: await textOf(trx),
          effective_from: effectiveFrom ? dialect.instant(effectiveFrom) : dialect.now(),
          created_at: dialect.now(),
        })
        .execute()
      const row = await trx
        .selectFrom('piko_job_config')
        .selectAll()
        .where('job_id', '=', jobId)
        .where('version', '=', version)
        .executeTakeFirstOrThrow()
      return versionOf(row, dialect)
    })
  }

  /** A job's versions, newest first. */
  async history(jobId: string, limit = 100): Promise<ConfigVersion[]> {
    const { db, dialect } = this.#database
    const query = db
      .selectFrom('piko_job_config')
      .selectAll()
      .where('job_id', '=', exactId(jobId))
      .orderBy('version', 'desc')
    const rows = await inPages<Selectable<JobConfigTable>>(limit, (size, last) =>
      (last ? query.where('version', '<', last.version) : query).limit(size).execute(),
    )
    return mapSound(dialect, 'piko_job_config', rows, (row) => versionOf(row, dialect), this.#database.broken.report)
  }

  /** Reads, with one short query, whether any config has changed. */
  async state(): Promise<ConfigState> {
    const { db, dialect } = this.#database
    const row = await db
      .selectFrom('piko_job_config')
      .select((eb) => [dialect.now().as('now'), eb.fn.countAll<number>().as('count'), eb.fn.max('id').as('last')])
      .executeTakeFirstOrThrow()
    return { now: dialect.date(row.now), mark: `${row.count}/${row.last ?? 0}` }
  }

  /** The version in force and the future versions of every job. An unreadable version is ignored, so the previous one stays in force. */
  async inForce(): Promise<{ readonly versions: readonly ConfigVersion[]; readonly isAnyBroken: boolean }> {
    const { dialect } = this.#database
    const broken = new Set<number>()
    for (;;) {
      const rows = await this.#inForce([...broken])
      const sound = soundRows(dialect, 'piko_job_config', rows, (row) => {
        if (row.id !== undefined) broken.add(row.id)
        this.#database.broken.report(row)
      })
      // Another version replaces a broken one in force.
      if (sound.length === rows.length || broken.size > MAX_BROKEN)
        return { versions: sound.map((row) => versionOf(row, dialect)), isAnyBroken: broken.size > 0 }
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

/** The search for a valid version stops after this many broken ones. */
const MAX_BROKEN = 1_000

function versionOf(row: Selectable<JobConfigTable>, dialect: Dialect): ConfigVersion {
  return {
    jobId: row.job_id,
    version: row.version,
    config: fromJson(row.config),
    effectiveFrom: dialect.date(row.effective_from),
    createdAt: dialect.date(row.created_at),
  }
}
