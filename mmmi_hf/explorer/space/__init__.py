"""The page as a Space: its folder, which `mmmi_hf.publish` takes as it takes folders of datasets."""
