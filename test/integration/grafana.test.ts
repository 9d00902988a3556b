import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { compile } from '../support/compiler.ts'

const text = readFileSync(new URL('../../deploy/grafana/piko.json', import.meta.url), 'utf8')

/**
 * Grafana publishes the schema of its dashboards as types. Its texts of a fixed set are enums there, which a JSON file has as plain texts:
 * `Plain` accepts these. The options of a panel and its fields depend on its kind, and any may be missing.
 */
const HEAD = `
import type * as grafana from '@grafana/schema'
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen'
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen'
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen'

type Plain<T> = T extends string ? \`\${T}\` : T extends object ? { [K in keyof T]: Plain<T[K]> } : T
type Some<T> = T extends object ? { [K in keyof T]?: Some<T[K]> } : T
type Of<Kind, Options, Custom> = Omit<grafana.Panel, 'type' | 'options' | 'fieldConfig'> & {
  type: Kind
  options: Some<Options>
  fieldConfig: grafana.FieldConfigSource<Some<Custom>>
}
type Panel =
  | (grafana.RowPanel & { type: 'row' })
  | Of<'stat', stat.Options, object>
  | Of<'table', table.Options, grafana.TableFieldOptions>
  | Of<'timeseries', timeseries.Options, timeseries.FieldConfig>
export const dashboard: Plain<Omit<grafana.Dashboard, 'panels'> & { panels: Panel[] }> = `

/** The complaints of the compiler about dashboards in one program. */
function complaints(dashboards: readonly string[]): readonly (readonly string[])[] {
  // Within the repository, so that the compiler finds the package.
  const folder = mkdtempSync(fileURLToPath(new URL('../../node_modules/.piko-grafana-', import.meta.url)))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const files = dashboards.map((_, index) => join(folder, `dashboard-${index}.ts`))
  for (const [index, file] of files.entries()) writeFileSync(file, HEAD + (dashboards[index] ?? ''))
  const found = compile(files, { types: [], lib: ['lib.es2022.d.ts'], skipLibCheck: true }).complaints
  return files.map((file) => found.filter((one) => one.startsWith(file)).map((one) => one.slice(file.length + 1)))
}

it('the dashboard in deploy/grafana obeys the schema that Grafana publishes', () => {
  const wrong = ['"refresh": 30', '"schemaVersion": "39"', '"graphTooltip": 7', '"liveNoww": false', '"type": "statt"']
  const [found, ...broken] = complaints([
    text,
    ...wrong.map((part) => {
      const pattern = new RegExp(`"${/\w+/.exec(part.replace('Noww', 'Now'))?.[0] ?? ''}": [^,\\n]+`)
      return text.replace(part.includes('statt') ? '"type": "stat"' : pattern, part)
    }),
  ])
  expect(found).toEqual([])
  expect(broken.map((some) => some.length > 0)).toEqual(wrong.map(() => true))
})
