import { sql } from 'kysely'
import { isRefusedValue } from '../../sql/database-faults.ts'
import { batchesOf, sentBytes } from '../../sql/statement-size.ts'
import type { Database } from '../connection/database.ts'
import type { Dialect } from '../connection/dialect.ts'
import { halved } from '../statements/halved.ts'
import { heldRun, type NewStep, STEP_COLUMNS, stepValues } from './new-step.ts'

/** `lost`: the claim is no longer valid, so nothing was written. */
export type StepStored = 'stored' | 'lost' | { readonly refusal: unknown }

/** The maximum number of rows that one statement stores. */
const MAX_ROWS = 200
/** The size of a row's numbers and timestamp and of the check of the claim, in bytes. */
const ROW_BYTES = 400

const COLUMNS = sql.join(STEP_COLUMNS.map((column) => sql.ref(column)))

/**
 * Stores steps of claims that are still valid, many in one statement. There is no transaction, so a node that dies leaves no locked run. If
 * the answer is lost, the statement can be repeated, because it writes the same rows again.
 *
 * An existing row is replaced. While the claim is valid, such a row comes from this claim, from a person, or from an earlier claim whose
 * row this attempt could not read.
 */
export async function addSteps(database: Database, steps: readonly NewStep[]): Promise<StepStored[]> {
  const { dialect } = database
  const stored = new Map<NewStep, StepStored>()
  // Runs are locked in the order of the primary key, as in every statement that locks many of them.
  const inOrder = steps.toSorted((one, other) => one.claim.runId - other.claim.runId)
  for (const batch of batchesOf(inOrder, bytesOf, { maxRows: MAX_ROWS, maxBytes: dialect.sizes.batch })) {
    await halved(
      batch,
      (some) => insert(database, some),
      async (step, refusal) => void stored.set(step, await whyRefused(database, step, refusal)),
      isRefusedValue,
    )
  }
  return steps.map((step) => stored.get(step) ?? 'stored')
}

async function insert({ db, dialect, retry }: Database, steps: readonly NewStep[]): Promise<void> {
  const rows = steps.map((step) => stepValues(dialect, step, sql`(${heldRun(dialect, step)})`))
  const statement = sql`INSERT INTO piko_step (${COLUMNS}) VALUES ${sql.join(rows)}${replacing(dialect)}`
  await retry(() => statement.execute(db))
}

function replacing({ name }: Dialect) {
  const others = STEP_COLUMNS.filter((column) => column !== 'run_id' && column !== 'name')
  const set = others.map((column) =>
    name === 'mysql'
      ? sql`${sql.ref(column)} = VALUES(${sql.ref(column)})`
      : sql`${sql.ref(column)} = excluded.${sql.ref(column)}`,
  )
  return name === 'mysql'
    ? sql` ON DUPLICATE KEY UPDATE ${sql.join(set)}`
    : sql` ON CONFLICT (run_id, name) DO UPDATE SET ${sql.join(set)}`
}

/** Finds the reason for a refusal. If the claim is no longer valid, the id is NULL, which its column does not allow. */
async function whyRefused({ db, dialect }: Database, step: NewStep, refusal: unknown): Promise<StepStored> {
  const { rows } = await heldRun(dialect, step).execute(db)
  return rows.length === 0 ? 'lost' : { refusal }
}

function bytesOf({ name, result }: NewStep): number {
  return ROW_BYTES + sentBytes(name) + sentBytes(result)
}
