import { readFileSync, writeFileSync } from 'node:fs'
import { format, type FormatConfig } from 'oxfmt'
import style from '../.oxfmtrc.json' with { type: 'json' }
import { examplePage, settingsPage } from './settings/pages.ts'

// Writes settings.example.toml and the tables of docs/settings.md from the settings in src/settings/sections.
// With --check it writes nothing and fails if a file differs.
const isCheck = process.argv.includes('--check')
const pages = {
  'settings.example.toml': examplePage,
  'docs/settings.md': async (text: string): Promise<string> =>
    (await format('docs/settings.md', settingsPage(text), style as FormatConfig)).code,
}

for (const [path, pageOf] of Object.entries(pages)) {
  const committed = readFileSync(path, 'utf8')
  const generated = await pageOf(committed)
  if (generated === committed) continue
  if (isCheck) {
    console.error(`${path} differs from the settings in src/settings/sections; run "npm run settings"`)
    process.exitCode = 1
  } else {
    writeFileSync(path, generated)
    console.log(`wrote ${path}`)
  }
}
