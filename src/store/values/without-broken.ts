import { BrokenRow } from './broken-row.ts'
import type { Database } from '../connection/database.ts'

/** If a job has more broken windows than this, reading its windows fails. */
const MAX_LEFT_OUT = 100

/** Reads a job's windows and leaves out those that can't be read. Reports each of these and repeats the read without it. */
export async function withoutBroken<T>(
  { broken }: Pick<Database, 'broken'>,
  read: (except: readonly number[]) => Promise<T>,
): Promise<T> {
  const except: number[] = []
  for (;;) {
    try {
      return await read(except)
    } catch (thrown) {
      const isWindow = thrown instanceof BrokenRow && thrown.table === 'piko_window'
      if (!isWindow || thrown.id === undefined || except.length === MAX_LEFT_OUT) throw thrown
      broken.report(thrown)
      except.push(thrown.id)
    }
  }
}
