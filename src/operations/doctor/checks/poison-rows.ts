import { check } from '../check.ts'

/** Finds rows that a person has edited and that Piko can't read any more. */
export const poisonRows = check({
  id: 'poison-rows',
  needs: ['broken'],
  find: ({ broken }) =>
    broken.map(({ table, key, message }) => ({
      id: 'poison-rows',
      severity: 'error',
      found: message.split('; correct it')[0] ?? message,
      remedy: /(?:UPDATE|DELETE) .*$/s.exec(message)?.[0] ?? `SELECT * FROM ${table} WHERE ${key}`,
    })),
})
