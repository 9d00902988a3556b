import { check } from '../check.ts'

/** Finds an isolation level that Piko has not set, for example because a proxy shares sessions. */
export const isolation = check({
  id: 'isolation',
  needs: ['server'],
  find: ({ server: { store, session, location } }) => {
    const level = session['transaction_isolation'] ?? session['tx_isolation'] ?? 'READ-COMMITTED'
    if (store === 'sqlite' || level === 'READ-COMMITTED') return []
    return [
      {
        id: 'isolation',
        severity: 'error',
        found: `connections to ${location} use ${level}, although Piko sets READ-COMMITTED: claims lock gaps and wait for inserts`,
        remedy:
          'connect without a proxy that shares sessions between clients, or set its default: ' +
          "SET GLOBAL transaction_isolation = 'READ-COMMITTED'",
      },
    ]
  },
})
