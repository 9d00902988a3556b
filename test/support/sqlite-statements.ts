import type { StatementSync } from 'node:sqlite'
import { onTestFinished } from 'vitest'
import { nodeSqlite } from '../../src/sql/node-sqlite.ts'

/** A statement that SQLite has executed. */
export interface SentStatement {
  readonly text: string
  /** Number of returned or changed rows. */
  readonly rows: number
  /** Size of the returned rows as JSON. */
  readonly bytes: number
}

/** The statements that this process sends to SQLite while `work` is under way. */
export async function sqliteStatementsDuring(work: () => Promise<unknown>): Promise<readonly SentStatement[]> {
  const { prototype } = nodeSqlite().StatementSync
  const own = { all: methodOf(prototype, 'all'), run: methodOf(prototype, 'run') }
  const restore = (): void => void Object.assign(prototype, own)
  onTestFinished(restore)
  const sent: SentStatement[] = []
  Object.assign(prototype, {
    all(this: StatementSync, ...args: unknown[]) {
      const rows = own.all.call(this, ...args) as unknown[]
      sent.push({ text: this.sourceSQL, rows: rows.length, bytes: JSON.stringify(rows).length })
      return rows
    },
    run(this: StatementSync, ...args: unknown[]) {
      const answer = own.run.call(this, ...args) as ReturnType<StatementSync['run']>
      const isChange = /^(?:insert|update|delete)/i.test(this.sourceSQL)
      sent.push({ text: this.sourceSQL, rows: isChange ? Number(answer.changes) : 0, bytes: 0 })
      return answer
    },
  })
  await work()
  restore()
  return sent
}

type Method = (this: StatementSync, ...args: unknown[]) => unknown

function methodOf(prototype: StatementSync, name: 'all' | 'run'): Method {
  return (Object.getOwnPropertyDescriptor(prototype, name) as { value: Method }).value
}
