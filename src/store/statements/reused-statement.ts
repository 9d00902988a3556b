import type { Compilable, CompiledQuery, Kysely } from 'kysely'
import type { Dialect } from '../connection/dialect.ts'
import type { Tables } from '../tables.ts'

/** Values to bind, by name. */
type Named<Name extends string, Value> = Readonly<Record<Name, Value>>

/** Returns a statement with these values. */
type ReusedStatement<Name extends string> = (
  db: Kysely<Tables>,
  dialect: Dialect,
  values: Named<Name, unknown>,
) => CompiledQuery

/**
 * Builds a statement once for each database, and then only replaces its values. For a small statement, building takes longer than execution.
 *
 * @param names the values that differ from call to call
 * @param build builds the statement with a stand-in for each of these values, which it must pass as a parameter; otherwise it may depend
 *   only on the dialect
 */
export function reusedStatement<Name extends string>(
  names: readonly Name[],
  build: (db: Kysely<Tables>, dialect: Dialect, standIns: Named<Name, never>) => Compilable,
): ReusedStatement<Name> {
  const standIns = Object.fromEntries(names.map((name) => [name, { name }])) as Record<Name, { readonly name: Name }>
  const nameOf = new Map<unknown, Name>(names.map((name) => [standIns[name], name]))
  const built = new WeakMap<Dialect, CompiledQuery>()
  return (db, dialect, values) => {
    let statement = built.get(dialect)
    if (!statement) {
      statement = build(db, dialect, standIns as Named<Name, never>).compile()
      for (const name of names)
        if (!statement.parameters.includes(standIns[name]))
          throw new Error(`"${name}" is no parameter: ${statement.sql}`)
      // If a test replaces the database's clock, its time is part of the statement.
      if (dialect.nowText().values.length === 0) built.set(dialect, statement)
    }
    const parameters = statement.parameters.map((parameter) => {
      const name = nameOf.get(parameter)
      return name === undefined ? parameter : values[name]
    })
    return { ...statement, parameters }
  }
}
