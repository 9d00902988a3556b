import { check } from '../check.ts'

const FLAGS = ['super_read_only', 'innodb_read_only', 'read_only']

/** Finds a server that accepts no writes, such as a replica. */
export const readOnlyServer = check({
  id: 'read-only',
  needs: ['server'],
  find: ({ server: { global, location } }) => {
    const flag = FLAGS.find((name) => global[name] === 'ON' || global[name] === '1')
    if (flag === undefined) return []
    return [
      {
        id: 'read-only',
        severity: 'error',
        found: `${flag} of ${location} is on: the server is a replica, or an administrator has made it read-only`,
        remedy: `set [mysql] dsn to the primary, or: SET GLOBAL ${flag} = OFF`,
      },
    ]
  },
})
