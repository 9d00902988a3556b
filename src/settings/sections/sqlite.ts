import { filePath } from '../setting-types.ts'

/** The embedded database. */
export const sqlite = {
  /** The path of the database file, relative to the working directory. */
  path: filePath({
    key: 'path',
    default: '.piko/piko.db',
    help: 'File of the embedded database, relative to the working directory; used when mysql.dsn is empty.',
  }),
}
