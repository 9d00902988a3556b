import { check } from '../check.ts'
import type { Finding } from '../finding.ts'

/** The minimum number of rows of a checked table. In a smaller one, MySQL may read all rows, because that is fast. */
const MIN_ROWS = 10_000

/** Finds indexes that the database does not use for statements that must stay fast. */
export const indexes = check({
  id: 'indexes',
  needs: ['schema', 'plans'],
  find: ({ schema: { hidden, isMariadb }, plans }) => [
    ...hidden.map(({ table, index }): Finding => ({
      id: 'indexes.hidden',
      severity: 'error',
      found: `the index ${table}.${index} is hidden from the optimizer, so statements read the whole table`,
      remedy: `ALTER TABLE ${table} ALTER INDEX ${index} ${isMariadb ? 'NOT IGNORED' : 'VISIBLE'}`,
    })),
    ...plans.flatMap(({ purpose, table, expected, used, rows }): Finding[] =>
      used === expected || (rows !== undefined && rows < MIN_ROWS)
        ? []
        : [
            {
              id: 'indexes.unused',
              severity: 'warning',
              found: `${purpose} use ${used === undefined ? 'no index' : `the index ${used}`} of ${table}; expected ${expected}`,
              remedy: rows === undefined ? `ANALYZE ${table}` : `ANALYZE TABLE ${table}`,
            },
          ],
    ),
  ],
})
