/** The import directions of the source tree; see docs/decisions/0006. */
const tiers = require('./scripts/house/tiers.json')

const pathOf = (room) => (room.endsWith('.ts') ? `^src/${room.replace('.', '\\.')}$` : `^src/${room}/`)
const ranked = tiers.flatMap((rooms, tier) => rooms.map((room) => ({ room, tier })))
/** A rule for each pair of rooms of which the first must not import the second, not even a type. */
const upward = ranked.flatMap(({ room, tier }) =>
  ranked
    .filter((other) => other.room !== room && other.tier >= tier)
    .map((other) => ({
      name: `${room}-must-not-import-${other.room}`,
      comment: 'a room imports lower tiers alone; scripts/house/tiers.json has them in order',
      severity: 'error',
      from: { path: pathOf(room) },
      to: { path: pathOf(other.room) },
    })),
)
const onlyIn = (library, folder) => ({
  name: `${library.replace(/\W+/g, '-')}-only-in-${folder.replace(/\W+/g, '-')}`,
  comment: 'one library, one folder',
  severity: 'error',
  from: { path: '^src', pathNot: `^src/${folder}` },
  to: { path: library.startsWith('node:') ? `^${library.slice(5)}$|^${library}$` : `node_modules/${library}/` },
})

module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'index-is-imported-by-nobody',
      severity: 'error',
      from: { path: '^src' },
      to: { path: '^src/index\\.ts$' },
    },
    ...upward,
    ...['async', 'data', 'sync', 'crawl'].map((wing) => ({
      name: `wing-${wing}-is-imported-by-nobody`,
      comment:
        'a wing is the subpath of its name; what another room needs too lives in a lower room. A crawl may use the other wings, and tests run a crawl',
      severity: 'error',
      from: { path: `^src/(?!${wing === 'crawl' ? 'crawl/|testing/' : `${wing}/|crawl/`})` },
      to: { path: `^src/${wing}/` },
    })),
    {
      name: 'pure-folders-do-no-io',
      comment: 'schedules, windows, the rules of runs and what users declare know nothing of files, sockets and clocks',
      severity: 'error',
      from: { path: '^src/(time|run|ledger|job)/' },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?util$' },
    },
    {
      name: 'src-never-imports-tests',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|examples|scripts)/' },
    },
    {
      name: 'src-never-imports-itself-by-name',
      comment: 'that is index.ts by another name',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^piko($|/)' },
    },
    onlyIn('croner', 'time/'),
    onlyIn('piscina', 'offload/'),
    onlyIn('fastify', 'http/'),
    onlyIn('zod-openapi', 'api/'),
    onlyIn('@opentelemetry/api', 'tracing/'),
    onlyIn('pino', 'telemetry/'),
    onlyIn('pino-pretty', 'telemetry/'),
    onlyIn('prom-client', 'telemetry/'),
    onlyIn('convict', 'settings/'),
    onlyIn('smol-toml', 'settings/'),
    onlyIn('kysely', '(store|data/mysql)/'),
    onlyIn('mysql2', '(store|data/mysql)/'),
    onlyIn('undici', 'http-client/'),
    onlyIn('cheerio', 'crawl/page'),
    onlyIn('playwright-core', 'crawl/browser/'),
    onlyIn('quickjs-emscripten', 'crawl/sandbox/'),
    onlyIn('robots-parser', 'crawl/robots/'),
    onlyIn('tough-cookie', 'crawl/sessions/'),
    onlyIn('@redis/client', '(data|cache)/redis/'),
    onlyIn('hyparquet-writer', 'data/sinks/'),
    onlyIn('commander', 'cli/'),
    onlyIn('cli-progress', 'cli/'),
    onlyIn('node:sqlite', '(store/|sql/node-sqlite)'),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { conditionNames: ['piko-source', 'import', 'node', 'default'] },
  },
}
