import { once } from 'node:events'
import { openDatabase, type OpenOptions } from '../../src/store/connection/database.ts'
import { migrate, type MigrateOptions } from '../../src/store/migration/migrate.ts'

/**
 * One of many processes that migrate: `[open options, migrate options]` as JSON in argv. Prints `ready`, migrates on
 * input to its stdin, and prints the applied versions.
 */
const [open, options] = JSON.parse(process.argv[2] ?? '') as [OpenOptions, MigrateOptions]
const database = await openDatabase(open)
console.log('ready')
await once(process.stdin, 'data')
console.log(JSON.stringify((await migrate(database, options)).applied))
await database.close()
process.stdin.destroy()
