import { check } from '../check.ts'
import { type Finding, sizeText } from '../finding.ts'

const GIB = 1_024 ** 3
const LARGE_TABLE = 20 * GIB
const LARGE_FILE = 20 * GIB
const LARGE_WAL = 256 * 1_024 ** 2
const MANY_ROWS = 1_000_000
const MIN_FREE = GIB

/** The settings that keep each table small; shown in the remedy. */
const SHRINKS: Readonly<Record<string, string>> = {
  piko_run: '[history]\nkeep_succeeded = "7d"',
  piko_attempt: '[history]\nkeep_succeeded = "7d"',
  piko_run_log: '[history]\nrun_logs = "warn"',
  piko_event: '[events]\nkeep = "1d"',
  piko_audit: '[history]\nkeep_audit = "90d"',
}

/** Finds large tables and files, runs that are kept forever, and much unused space in the database file. */
export const growth = check({
  id: 'growth',
  needs: ['sizes', 'settings'],
  find: ({ sizes: { tables, totalBytes, walBytes, freeBytes, store }, settings: { settings } }) => {
    const findings: Finding[] = tables
      .filter(({ bytes }) => bytes >= LARGE_TABLE)
      .map(({ name, bytes }) => ({
        id: 'growth.table',
        severity: 'warning',
        found: `${name} has ${sizeText(bytes)}: backups and changes of the schema take a long time`,
        remedy: SHRINKS[name] ?? '[history]\nkeep_succeeded = "7d"',
      }))
    const runs = tables.find(({ name }) => name === 'piko_run')
    const { keepSucceededMs, keepRuns } = settings.history
    if (keepSucceededMs === 0 && keepRuns === 0 && (runs?.rows ?? 0) >= MANY_ROWS) {
      findings.push({
        id: 'growth.kept',
        severity: 'warning',
        found: `piko_run has about ${runs?.rows ?? 0} rows, and [history] keep_succeeded = "0s" keeps all of them forever`,
        remedy: '[history]\nkeep_succeeded = "30d"',
      })
    }
    if (store === 'mysql') return findings
    if (totalBytes >= LARGE_FILE) {
      findings.push({
        id: 'growth.file',
        severity: 'warning',
        found: `the database file has ${sizeText(totalBytes)}; SQLite serves one writer at a time`,
        remedy: '[mysql]\ndsn = "mysql://user:password@host:3306/piko"',
      })
    }
    if (walBytes >= LARGE_WAL) {
      findings.push({
        id: 'growth.wal',
        severity: 'warning',
        found: `the log of the database file has ${sizeText(walBytes)}: another program holds a read transaction open, so it can't be written back`,
        remedy: 'end that program (fuser -v on the database file shows it), then: PRAGMA wal_checkpoint(TRUNCATE)',
      })
    }
    if (freeBytes >= MIN_FREE && freeBytes > totalBytes / 2) {
      findings.push({
        id: 'growth.free',
        severity: 'info',
        found: `${sizeText(freeBytes)} of the ${sizeText(totalBytes)} of the database file are unused`,
        remedy: 'stop all nodes, then: sqlite3 .piko/piko.db VACUUM',
      })
    }
    return findings
  },
})
