import { check } from '../check.ts'

/** Finds a statement-based binary log. With it, InnoDB refuses writes in READ COMMITTED. */
export const binaryLog = check({
  id: 'binary-log',
  needs: ['server'],
  find: ({ server: { store, global, location } }) =>
    store === 'sqlite' || global['log_bin'] !== 'ON' || global['binlog_format'] !== 'STATEMENT'
      ? []
      : [
          {
            id: 'binary-log',
            severity: 'error',
            found: `binlog_format of ${location} is STATEMENT: InnoDB refuses writes (error 1665) in READ COMMITTED, the isolation level that Piko uses`,
            remedy:
              "SET GLOBAL binlog_format = 'ROW'; and in my.cnf, [mysqld]: binlog_format = ROW; then restart the nodes",
          },
        ],
})
