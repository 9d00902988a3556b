import { once } from 'node:events'
import { openDatabase, type OpenOptions } from '../../src/store/connection/database.ts'
import { migrate, type MigrateOptions } from '../../src/store/migration/migrate.ts'

/**
 * One process of many that migrate: `[open options, migrate options]` as JSON in argv. Says `ready`, migrates when its
 * stdin speaks, and prints what it applied.
 */
const [open, options] = JSON.parse(process.argv[2] ?? '') as [OpenOptions, MigrateOptions]
const database = await openDatabase(open)
console.log('ready')
await once(process.stdin, 'data')
console.log(JSON.stringify((await migrate(database, options)).applied))
await database.close()
process.stdin.destroy()
