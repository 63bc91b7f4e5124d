broken = = 
