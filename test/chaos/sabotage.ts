// Preloaded by nodes of the chaos suite: rewrites their statements so that one guarantee is gone. Only tests have it.
import { createRequire } from 'node:module'
import { type Sabotage, SABOTAGES, type SabotagePlan } from './sabotages.ts'

const plan: SabotagePlan = SABOTAGES[process.env['CHAOS_SABOTAGE'] as Sabotage]
type Send = (this: unknown, sql: string | { sql: string; values?: unknown[] }, ...rest: unknown[]) => unknown

const { Connection } = createRequire(import.meta.url)('mysql2') as { Connection: { prototype: Record<string, Send> } }
for (const method of ['query', 'execute']) {
  const send = Connection.prototype[method]!
  Connection.prototype[method] = function (sql, ...rest) {
    const rewrite = (text: string): string =>
      plan.rewrites.reduce((current, [pattern, replacement]) => current.replace(pattern, replacement), text)
    // A pool hands over commands that it has begun, which must stay the objects that they are.
    if (typeof sql !== 'string') sql.sql = rewrite(sql.sql)
    return send.call(this, typeof sql === 'string' ? rewrite(sql) : sql, ...rest)
  }
}
