import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../connection/dialect.ts'
import { chunksOf } from '../statements/chunks.ts'
import type { Tables } from '../tables.ts'
import type { CountChanges } from './item-counts.ts'
import type { NewItem } from './new-item.ts'

const MAX_PRINTS = 500

/**
 * Leaves out the items that exceed the limit of a run. The limit is exact: the row of the generation is locked, so no other node adds items
 * of the run at the same time. Items without a limit are kept.
 */
export async function withinLimits(
  trx: Kysely<Tables>,
  dialect: Dialect,
  items: readonly NewItem[],
  counts: CountChanges,
): Promise<readonly NewItem[]> {
  if (items.every(({ maxItems }) => maxItems === undefined)) return items
  const kept: NewItem[] = items.filter(({ maxItems }) => maxItems === undefined)
  const limited = Map.groupBy(
    items.filter(({ maxItems }) => maxItems !== undefined),
    ({ fence }) => fence,
  )
  for (const [fence, some] of [...limited].toSorted(([one], [other]) => one - other)) {
    const row = await trx
      .selectFrom('piko_item_run')
      .select('stored')
      .where('fence', '=', fence)
      .modifyEnd(dialect.forUpdate)
      .executeTakeFirst()
    const fresh = await unknownOf(trx, some)
    const room = Math.max(0, (some[0]?.maxItems ?? 0) - (row?.stored ?? 0))
    const isFresh = new Set(fresh)
    const known = some.filter((item) => !isFresh.has(item))
    for (const { kind } of fresh.slice(room)) counts.add(fence, kind, 'left:items')
    const taken = fresh.slice(0, room)
    kept.push(...taken, ...known)
    if (taken.length === 0) continue
    await trx
      .updateTable('piko_item_run')
      .set({ stored: sql`${sql.ref('stored')} + ${sql.lit(taken.length)}` })
      .where('fence', '=', fence)
      .execute()
  }
  return kept
}

/** Returns the items whose prints are not stored yet in their scope. Of items with the same print, only the first. */
async function unknownOf(trx: Kysely<Tables>, items: readonly NewItem[]): Promise<readonly NewItem[]> {
  const known = new Set<string>()
  for (const [scope, inScope] of Map.groupBy(items, (item) => item.scope)) {
    for (const some of chunksOf(inScope, MAX_PRINTS)) {
      const rows = await trx
        .selectFrom('piko_item')
        .select('print')
        .where('job_id', '=', some[0]?.jobId ?? '')
        .where('scope', '=', scope)
        .where(
          'print',
          'in',
          some.map(({ print }) => print),
        )
        .execute()
      for (const { print } of rows) known.add(`${scope}/${print}`)
    }
  }
  return items.filter(({ scope, print }) => {
    const key = `${scope}/${print}`
    if (known.has(key)) return false
    known.add(key)
    return true
  })
}
