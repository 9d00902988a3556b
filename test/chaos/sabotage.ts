// Preloaded by nodes of the chaos suite: rewrites their statements to remove one guarantee. Only tests use it.
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
    // A pool passes command objects that it has already begun, so they must stay the same objects.
    if (typeof sql !== 'string') sql.sql = rewrite(sql.sql)
    return send.call(this, typeof sql === 'string' ? rewrite(sql) : sql, ...rest)
  }
}
