/** The dependency rule of the house (docs/architecture.md): one row per folder, what it may not reach. */
const notFrom = (name, from, toPattern, extra = {}) => ({
  name,
  severity: 'error',
  from: { path: from, pathNot: '\\.test\\.ts$' },
  to: { path: toPattern, ...extra },
});
const ours =
  '(domain|workflows|activities|backends|attestation|store|api|worker|cli|embedded|observability|config)';
const runtime = { dependencyTypesNot: ['type-only'] };

module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    notFrom('domain-imports-nothing-of-ours', '^domain/', `^(?!domain/)${ours}/`),
    notFrom('workflows-import-domain', '^workflows/', `^(?!workflows|domain)${ours}/`, runtime),
    notFrom('backends-import-domain', '^backends/', `^(?!backends|domain)${ours}/`),
    notFrom(
      'activities-get-backends-injected',
      '^activities/',
      '^(backends|attestation|api|worker|cli|embedded|workflows|config)/',
      runtime,
    ),
    notFrom(
      'attestation-below',
      '^attestation/',
      '^(backends|activities|api|worker|cli|embedded|workflows)/',
      runtime,
    ),
    notFrom('store-is-the-bottom', '^store/', `^(?!store|domain|observability)${ours}/`),
    notFrom('observability-below', '^observability/', `^(?!observability|domain|store)${ours}/`),
    notFrom(
      'api-does-not-execute',
      '^api/',
      '^(activities|backends|workflows|cli|embedded|worker)/',
      runtime,
    ),
    notFrom('worker-is-not-a-front', '^worker/', '^(api|cli|embedded)/', runtime),
    notFrom(
      'only-store-speaks-sql',
      '^(?!store|embedded|test|bench|node_modules)',
      '^node_modules/pg/',
      runtime,
    ),
    notFrom(
      'one-door-to-the-golem-sdk',
      '^(?!backends/golem/sdk|test/|bench/|node_modules)',
      '^node_modules/@golem-sdk/',
      runtime,
    ),
    notFrom(
      'one-door-to-opentelemetry',
      '^(?!observability/otel/|test/|bench/|node_modules)',
      '^node_modules/@opentelemetry/',
    ),
    notFrom('opentelemetry-only-where-it-is-wanted', '^(?!observability/otel/)', '^observability/otel/', {
      dependencyTypesNot: ['dynamic-import', 'type-only'],
    }),
    {
      name: 'no-orphan-sources',
      severity: 'error',
      from: { orphan: true, path: `^${ours}/`, pathNot: '(\\.test|\\.d)\\.ts$' },
      to: {},
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|node_modules/.+/node_modules|coverage|\\.beacon|portal)/' },
    includeOnly: `^(${ours.slice(1, -1)}|test|bench|node_modules)/`,
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
