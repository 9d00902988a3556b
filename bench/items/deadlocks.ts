import type { Piko } from 'piko'
import type { SystemConfig } from '../harness/system.ts'

/** How many deadlocks the server has resolved since it started; 0 for SQLite, which has none. */
export async function deadlocksOf(app: Piko, { store }: SystemConfig): Promise<number> {
  if (store === 'sqlite') return 0
  const [row] = await app.sql.query<{ Value: string }>(`SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'`)
  return Number(row?.Value ?? 0)
}
