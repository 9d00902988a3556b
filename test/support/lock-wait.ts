import { setTimeout } from 'node:timers/promises'
import type { SqlDatabase } from '../../src/sql/sql.ts'
import { PATIENCE_MS } from './patience.ts'

/** Resolves when any transaction of the MySQL server waits for a lock. */
export async function lockWait(sql: SqlDatabase): Promise<void> {
  for (const deadline = performance.now() + PATIENCE_MS; performance.now() < deadline;) {
    const [row] = await sql.query(
      "SELECT COUNT(*) AS n FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
    )
    if (Number(row?.['n']) > 0) return
    // The server refreshes this table only if nobody has read it for 100 ms. Two tests that read it in step would never let it.
    await setTimeout(150 + Math.random() * 300)
  }
  throw new Error('no transaction waits for a lock')
}
