// @ts-check
/** What people call the methods, in the order of tables. @type {Record<string, string>} */
export const METHODS = {
  nac: 'NAC',
  msp: 'MSP',
  maxLogit: 'max logit',
  energy: 'energy',
  entropy: 'entropy',
  gen: 'GEN',
  gradNorm: 'GradNorm',
  knn: 'KNN',
  vim: 'ViM',
};
