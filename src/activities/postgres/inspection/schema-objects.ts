import { options } from './schema-relations';

/** Not a member of an extension: those come with it. */
function ownedByNobody(catalog: string, alias: string): string {
  return `NOT EXISTS (SELECT FROM owned WHERE classid = '${catalog}'::regclass AND objid = ${alias}.oid)`;
}

const FIRST_OF_USERS = 16384;

/** Queries of every other kind of object, in the same form as those of relations. */
export function objectQueries(major: number): string[] {
  return [
    `SELECT 'schema ' || quote_ident(nspname), pg_get_userbyid(nspowner)::text, NULL FROM schemas s WHERE ${ownedByNobody('pg_namespace', 's')}`,
    // A dump names no version: the server installs the one it has.
    `SELECT 'extension ' || quote_ident(extname), ROW(CASE WHEN NOT $1 THEN extversion END, n.nspname)::text, NULL
      FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace`,
    ...routineQueries(),
    ...typeQueries(),
    ...operatorQueries(),
    ...textQueries(),
    ...foreignQueries(),
    ...replicationQueries(major),
  ];
}

function routineQueries(): string[] {
  return [
    `SELECT 'function ' || p.name, ROW(p.prokind, l.lanname, p.provolatile, p.proisstrict, p.prosecdef, p.proleakproof, p.proparallel, p.procost,
        p.prorows, p.proconfig, p.prosupport, p.proretset, pg_get_function_result(p.oid), p.protrftypes::regtype[], p.prosrc, p.probin, pg_get_userbyid(p.proowner),
        a.aggkind, a.aggnumdirectargs, a.aggtransfn::oid::regprocedure, a.aggfinalfn::oid::regprocedure, a.aggcombinefn::oid::regprocedure,
        a.aggserialfn::oid::regprocedure, a.aggdeserialfn::oid::regprocedure, a.aggmtransfn::oid::regprocedure, a.aggminvtransfn::oid::regprocedure,
        a.aggmfinalfn::oid::regprocedure, a.aggfinalextra, a.aggmfinalextra, a.aggfinalmodify, a.aggmfinalmodify, a.aggsortop::regoperator,
        a.aggtranstype::regtype, a.aggtransspace, a.aggmtranstype::regtype, a.aggmtransspace, a.agginitval, a.aggminitval)::text,
        concat_ws(' ', pg_get_function_arguments(p.oid), pg_get_function_sqlbody(p.oid))
      FROM routines p JOIN pg_language l ON l.oid = p.prolang LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid`,
    `SELECT 'language ' || quote_ident(lanname), ROW(lanpltrusted, lanplcallfoid::regprocedure, laninline::regprocedure, lanvalidator::regprocedure,
        pg_get_userbyid(lanowner))::text, NULL FROM pg_language l WHERE l.oid >= ${FIRST_OF_USERS} AND ${ownedByNobody('pg_language', 'l')}`,
    `SELECT format('transform for %s language %I', trftype::regtype, lanname), ROW(trffromsql::oid::regprocedure, trftosql::oid::regprocedure)::text, NULL
      FROM pg_transform t JOIN pg_language l ON l.oid = t.trflang WHERE ${ownedByNobody('pg_transform', 't')}`,
    `SELECT 'event trigger ' || quote_ident(evtname), ROW(evtevent, evtenabled, evttags, evtfoid::regprocedure, pg_get_userbyid(evtowner))::text, NULL
      FROM pg_event_trigger e WHERE ${ownedByNobody('pg_event_trigger', 'e')}`,
  ];
}

function typeQueries(): string[] {
  const owner = 'pg_get_userbyid(t.typowner)';
  return [
    `SELECT 'enum ' || name, ROW(${owner}, (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid))::text, NULL
      FROM types t WHERE typtype = 'e'`,
    `SELECT 'domain ' || name, ROW(${owner}, format_type(typbasetype, typtypmod), typnotnull, typcollation::regcollation)::text,
        concat_ws(' ', pg_get_expr(typdefaultbin, 'pg_type'::regclass), (SELECT string_agg(concat_ws(' ', quote_ident(k.conname), pg_get_constraintdef(k.oid)), ',' ORDER BY k.conname)
           FROM pg_constraint k WHERE k.contypid = t.oid))
      FROM types t WHERE typtype = 'd'`,
    `SELECT 'range ' || name, ROW(${owner}, g.rngsubtype::regtype, g.rngmultitypid::regtype, format('%I.%I', n.nspname, o.opcname),
        g.rngcollation::regcollation, g.rngcanonical, g.rngsubdiff)::text, NULL
      FROM types t JOIN pg_range g ON g.rngtypid = t.oid JOIN pg_opclass o ON o.oid = g.rngsubopc JOIN pg_namespace n ON n.oid = o.opcnamespace`,
    `SELECT 'type ' || name, ROW(${owner}, typtype, typlen, typbyval, typinput, typoutput, typreceive, typsend, typmodin, typmodout, typanalyze, typsubscript,
        typcategory, typispreferred, typdelim, typalign, typstorage, typdefault, typcollation::regcollation, typelem::regtype)::text, NULL
      FROM types t WHERE typtype IN ('b', 'p') AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
        OR typtype = 'c' AND EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c')`,
    `SELECT format('cast (%s AS %s)', castsource::regtype, casttarget::regtype), ROW(castfunc::regprocedure, castcontext, castmethod)::text, NULL
      FROM pg_cast c WHERE c.oid >= ${FIRST_OF_USERS} AND ${ownedByNobody('pg_cast', 'c')}`,
    // What the keys are called differs between versions. One that was copied works in every encoding until it is restored.
    `SELECT format('collation %I.%I', n.nspname, c.collname), (to_jsonb(c) - '{oid,collname,collnamespace,collowner,collversion,collencoding}'::text[]
        || jsonb_build_object('owner', pg_get_userbyid(c.collowner)))::text, NULL
      FROM pg_collation c JOIN schemas n ON n.oid = c.collnamespace WHERE ${ownedByNobody('pg_collation', 'c')}`,
    `SELECT format('collation version %I.%I', n.nspname, c.collname), c.collversion, NULL
      FROM pg_collation c JOIN schemas n ON n.oid = c.collnamespace WHERE c.collversion IS NOT NULL`,
    `SELECT format('conversion %I.%I', n.nspname, c.conname), ROW(conforencoding, contoencoding, conproc, condefault, pg_get_userbyid(conowner))::text, NULL
      FROM pg_conversion c JOIN schemas n ON n.oid = c.connamespace WHERE ${ownedByNobody('pg_conversion', 'c')}`,
  ];
}

function operatorQueries(): string[] {
  return [
    `SELECT 'access method ' || quote_ident(amname), ROW(amhandler, amtype)::text, NULL
      FROM pg_am a WHERE a.oid >= ${FIRST_OF_USERS} AND ${ownedByNobody('pg_am', 'a')}`,
    `SELECT format('operator %I.%s(%s,%s)', n.nspname, oprname, oprleft::regtype, oprright::regtype), ROW(pg_get_userbyid(oprowner), oprcanmerge, oprcanhash,
        oprresult::regtype, oprcom::regoperator, oprnegate::regoperator, oprcode::oid::regprocedure, oprrest, oprjoin)::text, NULL
      FROM pg_operator o JOIN schemas n ON n.oid = o.oprnamespace WHERE ${ownedByNobody('pg_operator', 'o')}`,
    `SELECT format('operator class %I.%I using %I', n.nspname, opcname, amname), ROW(pg_get_userbyid(opcowner), opcintype::regtype, opcdefault,
        opckeytype::regtype, format('%I.%I', fn.nspname, f.opfname))::text, NULL
      FROM pg_opclass o JOIN schemas n ON n.oid = o.opcnamespace JOIN pg_am a ON a.oid = o.opcmethod
      JOIN pg_opfamily f ON f.oid = o.opcfamily JOIN pg_namespace fn ON fn.oid = f.opfnamespace WHERE ${ownedByNobody('pg_opclass', 'o')}`,
    `SELECT format('operator family %I.%I using %I', n.nspname, opfname, amname), ROW(pg_get_userbyid(opfowner),
        (SELECT string_agg(ROW(amoplefttype::regtype, amoprighttype::regtype, amopstrategy, amoppurpose, amopopr::regoperator, (SELECT s.opfname FROM pg_opfamily s WHERE s.oid = amopsortfamily))::text, ','
           ORDER BY amopstrategy, amopopr::regoperator::text) FROM pg_amop WHERE amopfamily = o.oid),
        (SELECT string_agg(ROW(amproclefttype::regtype, amprocrighttype::regtype, amprocnum, amproc::oid::regprocedure)::text, ','
           ORDER BY amprocnum, amproc::oid::regprocedure::text) FROM pg_amproc WHERE amprocfamily = o.oid))::text, NULL
      FROM pg_opfamily o JOIN schemas n ON n.oid = o.opfnamespace JOIN pg_am a ON a.oid = o.opfmethod WHERE ${ownedByNobody('pg_opfamily', 'o')}`,
  ];
}

function textQueries(): string[] {
  return [
    `SELECT format('text search parser %I.%I', n.nspname, prsname), ROW(prsstart, prstoken, prsend, prsheadline, prslextype)::text, NULL
      FROM pg_ts_parser p JOIN schemas n ON n.oid = p.prsnamespace WHERE ${ownedByNobody('pg_ts_parser', 'p')}`,
    `SELECT format('text search template %I.%I', n.nspname, tmplname), ROW(tmplinit, tmpllexize)::text, NULL
      FROM pg_ts_template t JOIN schemas n ON n.oid = t.tmplnamespace WHERE ${ownedByNobody('pg_ts_template', 't')}`,
    `SELECT format('text search dictionary %I.%I', n.nspname, dictname), ROW(pg_get_userbyid(dictowner), tn.nspname, tmplname, dictinitoption)::text, NULL
      FROM pg_ts_dict d JOIN schemas n ON n.oid = d.dictnamespace JOIN pg_ts_template t ON t.oid = d.dicttemplate
      JOIN pg_namespace tn ON tn.oid = t.tmplnamespace WHERE ${ownedByNobody('pg_ts_dict', 'd')}`,
    `SELECT format('text search configuration %I.%I', n.nspname, cfgname), ROW(pg_get_userbyid(cfgowner), prsname,
        (SELECT string_agg(ROW(maptokentype, mapseqno, mapdict::regdictionary)::text, ',' ORDER BY maptokentype, mapseqno) FROM pg_ts_config_map WHERE mapcfg = c.oid))::text, NULL
      FROM pg_ts_config c JOIN schemas n ON n.oid = c.cfgnamespace JOIN pg_ts_parser p ON p.oid = c.cfgparser WHERE ${ownedByNobody('pg_ts_config', 'c')}`,
  ];
}

function foreignQueries(): string[] {
  return [
    `SELECT 'foreign data wrapper ' || quote_ident(fdwname), ROW(pg_get_userbyid(fdwowner), fdwhandler::regprocedure, fdwvalidator::regprocedure, ${options('fdwoptions')})::text, NULL
      FROM pg_foreign_data_wrapper f WHERE ${ownedByNobody('pg_foreign_data_wrapper', 'f')}`,
    `SELECT 'server ' || quote_ident(srvname), ROW(pg_get_userbyid(srvowner), fdwname, srvtype, srvversion, ${options('srvoptions')})::text, NULL
      FROM pg_foreign_server s JOIN pg_foreign_data_wrapper f ON f.oid = s.srvfdw WHERE ${ownedByNobody('pg_foreign_server', 's')}`,
    // Its options are credentials.
    `SELECT format('user mapping for %I server %I', usename, srvname), '', NULL FROM pg_user_mappings`,
  ];
}

function replicationQueries(major: number): string[] {
  const [columns, rows] =
    major >= 15
      ? [
          `(SELECT string_agg(quote_ident(attname), ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = r.prrelid AND attnum = ANY (r.prattrs::int2[]))`,
          'pg_get_expr(r.prqual, r.prrelid)',
        ]
      : ['NULL::text', 'NULL::text'];
  const queries = [
    `SELECT 'publication ' || quote_ident(pubname), ROW(pg_get_userbyid(pubowner), puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot)::text, NULL
      FROM pg_publication`,
    `SELECT format('publication %I of table %s', pubname, prrelid::regclass), ${columns}, ${rows} FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid`,
    // Its connection may hold a password.
    `SELECT 'subscription ' || quote_ident(subname), ROW(pg_get_userbyid(subowner), subenabled, subbinary, substream, subslotname, subsynccommit, subpublications)::text, NULL
      FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())`,
  ];
  if (major >= 15)
    queries.push(`SELECT format('publication %I of schema %I', pubname, nspname), '', NULL
      FROM pg_publication_namespace r JOIN pg_publication p ON p.oid = r.pnpubid JOIN pg_namespace n ON n.oid = r.pnnspid`);
  return queries;
}
