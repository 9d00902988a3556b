import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { ROW_RULES } from '../../../src/store/values/row-rules.ts'
import { BrokenRow } from '../../../src/store/values/broken-row.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** The words that MySQL 5.7, 8.0, 8.4 or 9 reserves and MariaDB, on which most tests run, accepts as a name. */
const ONLY_MYSQL = new Set(
  `cube cume_dist dense_rank empty external first_value function generated get grouping groups io_after_gtids io_before_gtids json_table
  lag last_value lateral lead library manual master_bind master_ssl_verify_server_cert nth_value ntile of optimizer_costs parallel
  percent_rank qualify rank row stored system tablesample virtual window`.split(/\s+/),
)

const reservedIn = (text: string): string[] =>
  (text.replaceAll(/'[^']*'|`[^`]*`|--.*|\$\{[^}]*\}/g, ' ').match(/\w+/g) ?? []).filter((word) =>
    ONLY_MYSQL.has(word.toLowerCase()),
  )

/** The files of a glob, each with the reserved words in the parts that `partsOf` returns. */
const found = (glob: string, partsOf: (text: string) => readonly string[]): string[] =>
  globSync(glob, { cwd: root }).flatMap((file) =>
    partsOf(readFileSync(join(root, file), 'utf8'))
      .flatMap(reservedIn)
      .map((word) => `${file}: ${word}`),
  )

it('quotes each name in the migrations that MySQL reserves, although MariaDB does not', () => {
  expect(reservedIn("CREATE TABLE a (\n  stored INT, -- of\n  `rank` INT, b ENUM('of')\n)")).toEqual(['stored'])
  expect(found('migrations/mysql/*.sql', (text) => [text])).toEqual([])
})

it('quotes them in the statements of the sources, too', () => {
  const sql = /(?<![.\w])sql(?:<[^`;]*?>)?`((?:\$\{[^}]*\}|[^`])*)`/g
  expect(
    found('src/{store,sql,sink,data}/**/*.ts', (text) => [...text.matchAll(sql)].map(([, part = '']) => part)),
  ).toEqual([])
})

it('quotes them in the statements that people are told to run', () => {
  const names = Object.values(ROW_RULES).flatMap(({ columns }) => Object.keys(columns))
  const reserved = [...new Set(names.filter((name) => ONLY_MYSQL.has(name)))]
  expect(reserved.sort()).toEqual(['parallel', 'stored'])
  const faults = [...reserved, 'total'].map((column) => ({ column, value: "'x'", expected: 'a number', example: '1' }))
  expect(new BrokenRow('piko_batch', { id: 7 }, faults).message).toContain(
    'UPDATE piko_batch SET `parallel` = 1, `stored` = 1, total = 1 WHERE id = 7',
  )
})
