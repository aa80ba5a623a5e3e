// Package promises has a test for each thing that this operator promises to do better than what its users come from. A
// test shows the behaviour itself, with a real cluster, Flux and the operator as a process, and is as short as that allows;
// other packages test the same in depth.
//
//	B1  the schema of a ConfigData is enforced                        TestB01SchemaIsEnforced
//	B2  editing keeps documents, comments, order and style            TestB02EditingKeepsDocuments
//	B3  paths and values of rules are no programs                     TestB03PathsAreNoPrograms
//	B4  the message of Ready keeps the version                        TestB04ReadyKeepsTheVersion
//	B5  edits of a ComponentVersion take effect at once               TestB05EditsTakeEffect
//	B6  a shared descriptor survives one of its owners                TestB06SharedDescriptorSurvives
//	B7  shared content survives one of its owners                     TestB07SharedContentSurvives
//	B8  an upgrade leaves no garbage                                  TestAlone/B08UpgradesLeaveNoGarbage
//	B9  wiped storage is noticed and restored                         TestAlone/B09WipedStorageIsRestored
//	B10 a namespace goes with the registry down                       TestB10NamespacesGoWithoutRegistry
//	B11 a source that is ready again wakes what depends on it         TestB11ReadinessWakes
//	B12 edited ConfigMaps are applied at once, Secrets within seconds TestB12EditedValuesAreApplied
//	B13 every hop of a reference path counts                          TestB13EveryHopCounts
//	B14 versions of resources are exact, and ambiguity is an error    TestB14VersionsOfResourcesAreExact
//	B15 tampered content is refused                                   TestB15TamperedContentIsRefused
//	B16 passwords work for hosts with a port                          TestB16PasswordsWorkForPorts
//	B17 a FluxDeployer needs no help and repairs what it made         TestB17DeployerNeedsNothing
//	B18 unchanged objects cause no traffic and no writes              TestB18UnchangedIsQuiet
//	B19 large resources need little memory                            TestAlone/B19LargeResourcesNeedLittleMemory
//	B20 versions with build metadata work                             TestB20BuildMetadata
//	B21 cycles of references are reported                             TestB21CyclesAreReported
//	B22 specs stay as they were written                               TestB22SpecsStayAsTheyAre
//	B23 the operator starts without Flux                              TestAlone/B23OperatorStartsWithoutFlux
//	B24 references into other namespaces can be denied                TestAlone/B24ForeignReferencesAreDenied
//	B25 what was missing wakes who has missed it                      TestB25WhatWasMissingWakes
//	B26 nothing is stuck in deletion                                  TestAlone/B26NothingIsStuckInDeletion
//	B28 a version arrives as a whole and in order                     TestB28VersionsArriveInOrder
package promises
