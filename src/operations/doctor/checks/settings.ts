import { check } from '../check.ts'
import type { SettingsFacts } from '../facts.ts'
import type { Finding } from '../finding.ts'

/** Settings that work but remove a protection. Each entry has the risky value, what it leads to, and the safe value. */
const RISKS: readonly { key: string; risky: string; then: string; safe: string }[] = [
  {
    key: 'mysql.ssl_verify_host',
    risky: 'false',
    then: 'with TLS, a server with a certificate for any other host is trusted',
    safe: 'true',
  },
  {
    key: 'mysql.statement_timeout',
    risky: '"0s"',
    then: 'a statement that never gets an answer keeps its connection forever',
    safe: '"1m"',
  },
  {
    key: 'piko.max_block',
    risky: '"0s"',
    then: 'a node whose event loop never turns again keeps its runs forever',
    safe: '"1m"',
  },
]

/** Finds settings that can't be read, and settings that remove a protection. */
export const settingsProblems = check({
  id: 'settings',
  needs: ['problems'],
  find: ({ problems }) =>
    problems.map(({ key, value, origin, expected }) => ({
      id: 'settings',
      severity: 'error',
      found: `${key}${value === undefined ? '' : ` = ${value}`} (${origin}): ${expected}`,
      remedy: origin.startsWith('environment')
        ? `correct or unset the variable: unset ${origin === 'environment' ? key : (origin.split(' ').at(-1) ?? key)}`
        : `correct ${key} in ${origin}; docs/settings.md lists all settings`,
    })),
})

export const riskySettings = check({
  id: 'settings.risk',
  needs: ['settings'],
  find: ({ settings }) => risksOf(settings),
})

function risksOf({ values, settings }: SettingsFacts): Finding[] {
  return RISKS.flatMap(({ key, risky, then, safe }): Finding[] => {
    if (key.startsWith('mysql.') && settings.mysql.dsn === '') return []
    const fact = values.find((one) => one.key === key)
    if (fact?.value !== risky) return []
    const [section = '', name = ''] = key.split('.')
    return [
      {
        id: 'settings.risk',
        severity: 'warning',
        found: `${key} is ${fact.value} (${fact.origin}): ${then}`,
        remedy: `[${section}]\n${name} = ${safe}`,
      },
    ]
  })
}
