import { sql } from 'kysely'
import { expect, it } from 'vitest'
import { expectedSchema, schemaOf } from '../../../src/store/doctor/expected-schema.ts'
import { describeEachStore } from '../../support/databases.ts'

describeEachStore((store) => {
  it('reads from the migrations exactly the tables, columns and indexes that they make', async () => {
    const { db } = await store.open()
    const { tables } = expectedSchema(store.name)
    const expected = [...tables].flatMap(([table, { columns, indexes }]) => [
      ...[...columns.keys()].map((column) => `${table} ${column}`),
      ...[...indexes.keys()].map((index) => `${table} index ${index}`),
    ])
    const query =
      store.name === 'mysql'
        ? sql<{ name: string }>`
            SELECT CONCAT(TABLE_NAME, ' ', COLUMN_NAME) AS name FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()
            UNION SELECT DISTINCT CONCAT(TABLE_NAME, ' index ', INDEX_NAME) FROM information_schema.STATISTICS
            WHERE TABLE_SCHEMA = DATABASE() AND INDEX_NAME <> 'PRIMARY'`
        : sql<{ name: string }>`
            SELECT s.name || ' ' || c.name AS name FROM sqlite_schema s, pragma_table_info(s.name) c WHERE s.type = 'table'
            UNION SELECT tbl_name || ' index ' || name FROM sqlite_schema WHERE type = 'index'`
    const { rows } = await query.execute(db)
    const own = rows
      .map(({ name }) => name)
      // The tables of the migrations themselves, and what SQLite makes by itself.
      .filter((name) => !/^(?:piko_migration|sqlite_)|index sqlite_/.test(name))
    expect(expected.sort()).toEqual(own.sort())
  })
})

it('gives the statement that adds each lost part again', () => {
  const { tables } = schemaOf([
    'CREATE TABLE piko_a (\n  id BIGINT NOT NULL,\n  `name` VARCHAR(9) NULL,\n  PRIMARY KEY (id),\n  KEY a_name (name)\n)',
    'ALTER TABLE piko_a ADD COLUMN late DATETIME(3) NULL, ADD KEY a_late (late, id)',
    'CREATE TABLE piko_b (\n  id INTEGER PRIMARY KEY\n) STRICT',
    'CREATE UNIQUE INDEX b_id ON piko_b (id)',
    'ALTER TABLE piko_b RENAME TO piko_c',
  ])
  const parts = [...tables].map(([table, { columns, indexes }]) => [
    table,
    { ...Object.fromEntries([...columns, ...indexes]) },
  ])
  expect(Object.fromEntries(parts)).toEqual({
    piko_a: {
      id: 'ALTER TABLE piko_a ADD COLUMN id BIGINT NOT NULL',
      name: 'ALTER TABLE piko_a ADD COLUMN `name` VARCHAR(9) NULL',
      a_name: 'ALTER TABLE piko_a ADD KEY a_name (name)',
      late: 'ALTER TABLE piko_a ADD COLUMN late DATETIME(3) NULL',
      a_late: 'ALTER TABLE piko_a ADD KEY a_late (late, id)',
    },
    piko_c: {
      id: 'ALTER TABLE piko_c ADD COLUMN id INTEGER PRIMARY KEY',
      b_id: 'CREATE UNIQUE INDEX b_id ON piko_c (id)',
    },
  })
})
