import type { LackingPart, SchemaFacts } from '../../../store/doctor/schema-facts.ts'
import { check } from '../check.ts'
import { type Finding, namesText } from '../finding.ts'

/** Finds differences between the schema of the database and the one that the migrations create. */
export const schema = check({
  id: 'schema',
  needs: ['schema'],
  find: ({ schema: facts }) => [...migrations(facts), ...drift(facts)],
})

function migrations({ migration: { current, latest, migrations: all } }: SchemaFacts): Finding[] {
  const named = (state: string): string[] => all.filter((one) => one.state === state).map(({ name }) => name)
  const unknown = named('unknown')
  if (unknown.length > 0) {
    return [
      {
        id: 'schema.newer',
        severity: 'error',
        found: `the schema has ${namesText(unknown)}, which this version of Piko does not know; it knows ${latest} migrations`,
        remedy: 'npm install piko@latest; or with the newer version: piko migrate down --to ' + String(latest),
      },
    ]
  }
  const interrupted = named('interrupted')
  const pending = named('pending')
  if (interrupted.length + pending.length === 0) return []
  return [
    {
      id: 'schema.older',
      severity: 'error',
      found:
        `the schema is at version ${current} of ${latest}: ` +
        [
          ...(interrupted.length > 0 ? [`${namesText(interrupted)} was interrupted`] : []),
          ...(pending.length > 0 ? [`${namesText(pending)} is pending`] : []),
        ].join('; '),
      remedy: 'piko migrate up',
    },
  ]
}

function drift({ lacking, engines, triggers }: SchemaFacts): Finding[] {
  return [
    ...lacking.map(lack),
    ...engines.map(({ table, engine }): Finding => ({
      id: 'schema.engine',
      severity: 'error',
      found: `${table} is stored by ${engine}, which has no transactions; expected InnoDB`,
      remedy: `ALTER TABLE ${table} ENGINE = InnoDB`,
    })),
    ...triggers.map(({ table, name }): Finding => ({
      id: 'schema.trigger',
      severity: 'warning',
      found: `${table} has the trigger ${name}, which runs with every statement of Piko on it`,
      remedy: `DROP TRIGGER ${name}`,
    })),
  ]
}

function lack({ kind, table, name, statements }: LackingPart): Finding {
  return {
    id: `schema.${kind}`,
    severity: 'error',
    found: `the schema lacks the ${kind} ${kind === 'table' ? name : `${table}.${name}`}, although all migrations are applied`,
    remedy: statements.join(';\n'),
  }
}
